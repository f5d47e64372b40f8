#include "watch/metrics/exposition.h"

#include "base/error.h"
#include "watch/channels/message.h"

#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string escaped(std::string_view text, bool quotes) {
    std::string result;
    for (const char c : text) {
        if (c == '\\') {
            result += "\\\\";
        } else if (c == '\n') {
            result += "\\n";
        } else if (c == '"' && quotes) {
            result += "\\\"";
        } else {
            result += c;
        }
    }
    return result;
}

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    // Whole numbers without an exponent are easier to read, and exact up to 2^53.
    if (value == std::floor(value) && std::abs(value) < 9e15)
        return fmt::format("{}", static_cast<std::int64_t>(value));
    return fmt::format("{}", value);
}

} // namespace

void Exposition::declare(std::string_view name, MetricType type, std::string_view help) {
    places_.emplace(name, metrics_.size());
    metrics_.push_back({.name = std::string(name), .help = std::string(help), .type = type, .samples = {}});
}

void Exposition::add(std::string_view name, const MetricLabels& labels, double value) {
    const auto at = places_.find(name);
    if (at == places_.end()) throw Error(ErrorCode::internal, fmt::format("metric {} is not declared", name));
    std::string text;
    for (const auto& [label, label_value] : labels) {
        text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", label,
                            escaped(bounded_utf8(label_value, 1000), true));
    }
    metrics_[at->second].samples += fmt::format("{}{}{}{} {}\n", name, text.empty() ? "" : "{", text,
                                                text.empty() ? "" : "}", number(value));
}

std::string Exposition::text() const {
    std::string text;
    for (const Metric& metric : metrics_) {
        if (metric.samples.empty()) continue;
        text +=
            fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", metric.name, escaped(metric.help, false),
                        metric.name, metric.type == MetricType::gauge ? "gauge" : "counter", metric.samples);
    }
    return text;
}

} // namespace holdfast
