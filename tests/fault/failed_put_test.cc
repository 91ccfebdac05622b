// What a put leaves behind whose log failed: nothing that a reader or a flush meets.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/engine_fixture.h"
#include "support/faulty_file_system.h"

namespace persisting {
namespace {

using testing::batch;
using testing::EngineTest;
using testing::FaultyFileSystem;

class FailedPut : public EngineTest {
 protected:
  std::shared_ptr<BucketEngine> open_faulty() {
    EngineEnvironment on = environment();
    on.file_system = &files_;
    auto engine = BucketEngine::open(options(), on);
    EXPECT_TRUE(engine.ok());
    return std::move(engine).value();
  }
  void fail_put(BucketEngine& engine, const Struct& fields) {
    files_.fail_calls("sync 0");
    EXPECT_FALSE(engine.put_batch(batch({fields})).ok());
    files_.fail_calls("");
  }
  FaultyFileSystem files_{FileSystem::posix()};
};

TEST_F(FailedPut, IsLeftAloneByAFlushThatIsTriedAgain) {
  auto engine = open_faulty();
  put(*engine, {{{"id", 1}}});
  // The table takes the row, the checkpoint fails: the next try has only the checkpoint to write.
  files_.fail_calls("append CHECKPOINT.tmp");
  EXPECT_FALSE(engine->flush().ok());
  fail_put(*engine, {{"id", 2}});
  (void)engine->flush();
  (void)engine->shut_down();
  engine.reset();
  EXPECT_EQ(tables_.appends(), 1);
  EXPECT_EQ(read(*open()), (std::vector<Struct>{{{"id", 1}}}));
}

TEST_F(FailedPut, LeavesNoFieldBehind) {
  auto engine = open_faulty();
  put(*engine, {{{"id", 1}}});
  fail_put(*engine, {{"id", 2}, {"more", "text"}});
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}}));
  (void)engine->flush();
  (void)engine->shut_down();
  engine.reset();
  engine = open();
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}}));
  put(*engine, {{{"id", 3}, {"more", 4}}});  // no text was ever kept
}

}  // namespace
}  // namespace persisting
