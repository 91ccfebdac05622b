#include "time_convert.h"

#include <chrono>
#include <string>

#include <datetime.h>

namespace persisting::python {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;
constexpr std::int64_t first_day = -719'162;  // 0001-01-01
constexpr std::int64_t last_day = 2'932'896;  // 9999-12-31

// The macros of datetime.h need this import once in each source file that uses them.
void ensure_datetime_api() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw nb::python_error();
}

std::int64_t days_since_epoch(PyObject* date) {
  const std::chrono::year_month_day civil{
      std::chrono::year(PyDateTime_GET_YEAR(date)),
      std::chrono::month(static_cast<unsigned>(PyDateTime_GET_MONTH(date))),
      std::chrono::day(static_cast<unsigned>(PyDateTime_GET_DAY(date)))};
  return std::chrono::sys_days(civil).time_since_epoch().count();
}

std::chrono::year_month_day civil_of(std::int64_t days) {
  if (days < first_day || days > last_day) {
    throw nb::value_error(("a date " + std::to_string(days) +
                           " days from 1970-01-01 lies outside the years 1 to 9999")
                              .c_str());
  }
  return std::chrono::sys_days(std::chrono::days(days));
}

}  // namespace

bool is_datetime(PyObject* object) {
  ensure_datetime_api();
  return PyDateTime_Check(object) != 0;
}

bool is_exact_datetime(PyObject* object) {
  ensure_datetime_api();
  return PyDateTime_CheckExact(object) != 0;
}

bool is_date(PyObject* object) {
  ensure_datetime_api();
  return PyDate_Check(object) != 0;
}

Timestamp timestamp_of(PyObject* datetime) {
  ensure_datetime_api();
  std::int64_t us = days_since_epoch(datetime) * day_us;
  us += PyDateTime_DATE_GET_HOUR(datetime) * std::int64_t{3'600'000'000};
  us += PyDateTime_DATE_GET_MINUTE(datetime) * std::int64_t{60'000'000};
  us += PyDateTime_DATE_GET_SECOND(datetime) * std::int64_t{1'000'000};
  us += PyDateTime_DATE_GET_MICROSECOND(datetime);
  const nb::object offset = nb::handle(datetime).attr("utcoffset")();
  if (offset.is_none()) return {us, false};
  us -= PyDateTime_DELTA_GET_DAYS(offset.ptr()) * day_us;
  us -= PyDateTime_DELTA_GET_SECONDS(offset.ptr()) * std::int64_t{1'000'000};
  us -= PyDateTime_DELTA_GET_MICROSECONDS(offset.ptr());
  return {us, true};
}

Date date_of(PyObject* date) {
  ensure_datetime_api();
  return {static_cast<std::int32_t>(days_since_epoch(date))};
}

bool is_python_time(Timestamp timestamp) {
  return timestamp.microseconds >= first_day * day_us &&
         timestamp.microseconds < (last_day + 1) * day_us;
}

PyObject* make_datetime(Timestamp timestamp) {
  ensure_datetime_api();
  std::int64_t days = timestamp.microseconds / day_us;
  std::int64_t us = timestamp.microseconds % day_us;
  if (us < 0) {
    us += day_us;
    --days;
  }
  const std::chrono::year_month_day civil = civil_of(days);
  const auto part = [&us](std::int64_t unit, std::int64_t range) {
    return static_cast<int>(us / unit % range);
  };
  return PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(civil.year()), static_cast<int>(static_cast<unsigned>(civil.month())),
      static_cast<int>(static_cast<unsigned>(civil.day())), part(3'600'000'000, 24),
      part(60'000'000, 60), part(1'000'000, 60), part(1, 1'000'000),
      timestamp.utc ? PyDateTime_TimeZone_UTC : Py_None, PyDateTimeAPI->DateTimeType);
}

PyObject* make_date(Date date) {
  ensure_datetime_api();
  const std::chrono::year_month_day civil = civil_of(date.days);
  return PyDateTimeAPI->Date_FromDate(
      static_cast<int>(civil.year()), static_cast<int>(static_cast<unsigned>(civil.month())),
      static_cast<int>(static_cast<unsigned>(civil.day())), PyDateTimeAPI->DateType);
}

}  // namespace persisting::python
