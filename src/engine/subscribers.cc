#include "engine/subscribers.h"

#include <utility>

namespace persisting {

class Subscribers::Entry : public Subscription {
 public:
  Entry(std::shared_ptr<State> state, std::uint64_t id) : state_(std::move(state)), id_(id) {}
  ~Entry() override {
    const std::lock_guard lock(state_->mutex);
    state_->listeners.erase(id_);
    state_->count.store(state_->listeners.size());
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  const std::shared_ptr<State> state_;
  const std::uint64_t id_;
};

std::unique_ptr<Subscription> Subscribers::add(std::function<void()> listener) {
  const std::lock_guard lock(state_->mutex);
  const std::uint64_t id = state_->next_id++;
  state_->listeners.emplace(id, std::move(listener));
  state_->count.store(state_->listeners.size());
  return std::make_unique<Entry>(state_, id);
}

void Subscribers::notify() const {
  // Sequentially consistent, as the store of the new end before it and a subscriber's look at the end after
  // subscribing are: one of the two always sees the other.
  if (state_->count.load() == 0) return;
  const std::lock_guard lock(state_->mutex);
  for (const auto& [id, listener] : state_->listeners) listener();
}

}  // namespace persisting
