#include "watch/number_history.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

double number_of(const std::string& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

} // namespace

void NumberHistory::add(const std::string& subject, const std::string& name, const NumberAt& measurement,
                        Duration spacing) {
    catalog_.with([&](Database& database) {
        database.query("INSERT INTO measurements (subject, name, time, value) "
                       "SELECT $1, $2, CAST($3 AS BIGINT), $4 WHERE NOT EXISTS (SELECT 1 FROM measurements "
                       "WHERE subject = $1 AND name = $2 AND time > $5 AND time <= $6) "
                       "ON CONFLICT (subject, name, time) DO NOTHING",
                       {sql(subject), sql(name), sql(measurement.time),
                        sql(fmt::format("{}", measurement.value)), sql(measurement.time - spacing),
                        sql(measurement.time)});
    });
}

std::vector<NumberAt> NumberHistory::since(const std::string& subject, const std::string& name,
                                           Timestamp from) {
    return catalog_.with([&](Database& database) {
        std::vector<NumberAt> series;
        for (const SqlRow& row :
             database.query("SELECT time, value FROM measurements WHERE subject = $1 AND name = $2 AND "
                            "time >= $3 ORDER BY time",
                            {sql(subject), sql(name), sql(from)}))
            series.push_back({row.time(0), number_of(row.text(1))});
        return series;
    });
}

std::vector<NumberHistory::Last> NumberHistory::last_of_each(const std::string& name) {
    return catalog_.with([&](Database& database) {
        std::vector<Last> all;
        for (const SqlRow& row : database.query(
                 "SELECT m.subject, m.time, m.value FROM measurements m WHERE m.name = $1 AND "
                 "m.time = (SELECT max(l.time) FROM measurements l WHERE l.subject = m.subject AND "
                 "l.name = m.name) ORDER BY m.subject",
                 {sql(name)}))
            all.push_back({row.text(0), {row.time(1), number_of(row.text(2))}});
        return all;
    });
}

void NumberHistory::remove_before(Timestamp time) {
    catalog_.with([&](Database& database) {
        database.query(
            "DELETE FROM measurements WHERE time < $1 AND time < (SELECT max(l.time) FROM "
            "measurements l WHERE l.subject = measurements.subject AND l.name = measurements.name)",
            {sql(time)});
    });
}

} // namespace holdfast
