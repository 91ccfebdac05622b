// The metrics in the form of prometheus-cpp, and over HTTP through its exposer. Built where prometheus-cpp is found.
#include "persisting/prometheus.h"

#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include "persisting/persisting.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricFamily family_of(MetricKind kind, MetricSample sample) {
  sample.labels = {{"bucket", "3"}, {"topic", "t"}};
  return {"persisting_x", "What x is.", kind, {std::move(sample)}};
}

// What an HTTP GET of /metrics returns, head and body.
std::string scrape(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(::send(socket, request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char part[4096];
  for (ssize_t size = 0; (size = ::recv(socket, part, sizeof(part), 0)) > 0;) {
    answer.append(part, static_cast<std::size_t>(size));
  }
  ::close(socket);
  return answer;
}

TEST(PrometheusTest, CounterAndGaugeKeepTheirValue) {
  MetricSample sample;
  sample.value = 42;
  const prometheus::MetricFamily counter = to_prometheus(family_of(MetricKind::kCounter, sample));
  EXPECT_EQ(counter.name, "persisting_x");
  EXPECT_EQ(counter.help, "What x is.");
  EXPECT_EQ(counter.type, prometheus::MetricType::Counter);
  ASSERT_EQ(counter.metric.size(), 1U);
  EXPECT_EQ(counter.metric[0].counter.value, 42);
  ASSERT_EQ(counter.metric[0].label.size(), 2U);
  EXPECT_EQ(counter.metric[0].label[0].name, "bucket");
  EXPECT_EQ(counter.metric[0].label[0].value, "3");
  EXPECT_EQ(counter.metric[0].label[1].value, "t");

  const prometheus::MetricFamily gauge = to_prometheus(family_of(MetricKind::kGauge, sample));
  EXPECT_EQ(gauge.type, prometheus::MetricType::Gauge);
  EXPECT_EQ(gauge.metric.at(0).gauge.value, 42);
}

TEST(PrometheusTest, HistogramKeepsBucketsSumAndCount) {
  MetricSample sample;
  sample.buckets = {{0.5, 1}, {std::numeric_limits<double>::infinity(), 3}};
  sample.sum = 7.25;
  sample.count = 3;
  const prometheus::MetricFamily family =
      to_prometheus(family_of(MetricKind::kHistogram, std::move(sample)));
  EXPECT_EQ(family.type, prometheus::MetricType::Histogram);
  const prometheus::ClientMetric::Histogram& histogram = family.metric.at(0).histogram;
  EXPECT_EQ(histogram.sample_count, 3U);
  EXPECT_EQ(histogram.sample_sum, 7.25);
  ASSERT_EQ(histogram.bucket.size(), 2U);
  EXPECT_EQ(histogram.bucket[0].upper_bound, 0.5);
  EXPECT_EQ(histogram.bucket[0].cumulative_count, 1U);
  EXPECT_EQ(histogram.bucket[1].cumulative_count, 3U);
}

TEST(PrometheusTest, AnExposerServesWhatTheBucketsCount) {
  const auto metrics = std::make_shared<MetricsCollectable>();
  prometheus::Exposer exposer("127.0.0.1:0", 1);
  exposer.RegisterCollectable(metrics);
  const int port = exposer.GetListeningPorts().at(0);

  QueueOptions options;
  options.topic = "exposed";
  options.storage_path = "exposed";
  options.backend = "memory";
  options.num_buckets = 1;
  const auto queue = Queue::open(options).value();
  const Record record = Record::make({{"id", "1"}}).value();
  ASSERT_TRUE(queue->put(record).ok());
  EXPECT_THAT(scrape(port), Not(HasSubstr("{bucket=")));

  enable_metrics(true);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue->put(record).ok());
  const std::string text = scrape(port);
  enable_metrics(false);
  EXPECT_THAT(text, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(text, HasSubstr("# TYPE persisting_records_total counter\n"
                              "persisting_records_total{bucket=\"0\",topic=\"exposed\"} 6\n"));
  // Durations are measured since they are exported.
  EXPECT_THAT(text,
              HasSubstr("persisting_put_duration_seconds_bucket{bucket=\"0\",topic=\"exposed\","
                        "le=\"+Inf\"} 5\n"));
  EXPECT_TRUE(queue->close().ok());
}

}  // namespace
}  // namespace persisting
