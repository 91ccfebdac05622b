// Commands for a bucket engine and the records that they put, as rapidcheck draws and shrinks them.
#pragma once

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>

#include <rapidcheck.h>

#include "persisting/value.h"

namespace persisting::testing {

// What a command's numbers mean is for the model to say; smaller ones are simpler.
struct Command {
  enum class Kind : std::uint8_t {
    kPut,
    kPutBatch,
    kGet,
    kFlush,
    kStats,
    kSubscribe,
    kClose,     // and open, maybe with other options
    kCrash,     // the process dies, and the next one opens
    kPowerCut,  // while nothing runs
    kStopSoon,  // the disk fails at one of the next calls and all after it; then the power is cut or the process dies
    kCount,
  };
  Kind kind = Kind::kPut;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
};
inline constexpr std::size_t kind_count = static_cast<std::size_t>(Command::Kind::kCount);
inline constexpr std::array<const char*, kind_count> kind_names{
    "put",       "put_batch", "get",   "flush",     "stats",
    "subscribe", "close",     "crash", "power_cut", "stop_soon"};

inline std::ostream& operator<<(std::ostream& out, const Command& command) {
  return out << kind_names[static_cast<std::size_t>(command.kind)] << "(" << command.a << ", "
             << command.b << ", " << command.c << ")";
}

inline rc::Gen<Command> any_command() {
  using Kind = Command::Kind;
  const auto kind = rc::gen::weightedElement<Kind>({{36, Kind::kPut},
                                                    {14, Kind::kPutBatch},
                                                    {20, Kind::kGet},
                                                    {8, Kind::kFlush},
                                                    {6, Kind::kStats},
                                                    {4, Kind::kSubscribe},
                                                    {4, Kind::kClose},
                                                    {2, Kind::kCrash},
                                                    {2, Kind::kPowerCut},
                                                    {4, Kind::kStopSoon}});
  const auto number = rc::gen::inRange<std::uint32_t>(0, 1024);
  return rc::gen::map(rc::gen::tuple(kind, number, number, number), [](const auto& parts) {
    return Command{std::get<0>(parts), std::get<1>(parts), std::get<2>(parts), std::get<3>(parts)};
  });
}

// A record with the fields whose bits `shape` has. Some widen, some grow, and the last ones conflict now and then.
inline Struct make_record(std::uint32_t shape, std::uint32_t value) {
  const auto integer = static_cast<std::int64_t>(value);
  const Value number = value % 3 == 2 ? Value(0.25 * value) : Value(integer);
  Struct fields;
  if ((shape & 1U) != 0) fields.emplace_back("number", integer);
  if ((shape & 2U) != 0) fields.emplace_back("text", std::string(value % 60, 'x'));
  if ((shape & 4U) != 0) fields.emplace_back("score", number);
  if ((shape & 8U) != 0) {
    Struct inner{{"a", number}};
    if (value % 2 == 1) inner.emplace_back("grün", Timestamp{integer, true});
    fields.emplace_back("inner", std::move(inner));
  }
  if ((shape & 16U) != 0) fields.emplace_back("tags", List(value % 4, number));
  if ((shape & 32U) != 0) fields.emplace_back("late", value % 5 == 4 ? Value(true) : Value());
  if ((shape & 64U) != 0) fields.emplace_back("raw", Bytes{std::string(value % 7, '\0')});
  if ((shape & 128U) != 0) {
    const std::int64_t inexact = (std::int64_t{1} << 53) + 1;
    fields.emplace_back("large", value % 8 == 7 ? Value(0.5) : Value(inexact));
  }
  if ((shape & 258U) == 256 && value % 6 == 5) fields.emplace_back("text", Date{1});
  if ((shape & 512U) != 0) fields.emplace_back("any", value % 4 == 3 ? Value("x") : Value(integer));
  return fields;
}

}  // namespace persisting::testing
