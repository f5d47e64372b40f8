// Prometheus' text format, version 0.0.4 ("Exposition formats", prometheus.io).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

enum class MetricType { gauge, counter };

using MetricLabels = std::vector<std::pair<std::string_view, std::string>>;

// Collects samples and writes those of one metric together, under one HELP and one TYPE, in the order in
// which metrics were declared.
class Exposition {
  public:
    // A metric without samples is left out.
    void declare(std::string_view name, MetricType type, std::string_view help);
    // Throws Error(internal) when `name` was not declared. Label values may be any text.
    void add(std::string_view name, const MetricLabels& labels, double value);
    // Ends in a line break.
    std::string text() const;

  private:
    struct Metric {
        std::string name, help;
        MetricType type = MetricType::gauge;
        std::string samples;
    };
    std::vector<Metric> metrics_;
    std::map<std::string, std::size_t, std::less<>> places_;
};

} // namespace holdfast
