#include "catalog/checklist_ticks.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view columns = "list, item, at, ticked_by, note";

ChecklistTick tick_of(const SqlRow& row) {
    return {.list = row.text(0),
            .item = row.text(1),
            .at = row.time(2),
            .by = row.optional_text(3),
            .note = row.text(4)};
}

} // namespace

ChecklistTicks::Outcome ChecklistTicks::add(Database& database, const ChecklistTick& tick, Timestamp begin,
                                            Timestamp end) {
    // By their times, since a list may get another time zone, and by the beginning of the period where two
    // come together.
    const auto before = [&] {
        return database.query(
            fmt::format("SELECT {} FROM checklist_ticks WHERE list = $1 AND item = $2 AND at >= $3 AND "
                        "at < $4",
                        columns),
            {sql(tick.list), sql(tick.item), sql(begin), sql(end)});
    };
    if (const auto rows = before(); !rows.empty()) return {tick_of(rows.front()), false};
    const auto added = database.query(
        "INSERT INTO checklist_ticks (list, item, period, at, ticked_by, note) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (list, item, period) DO NOTHING "
        "RETURNING at",
        {sql(tick.list), sql(tick.item), sql(begin), sql(tick.at), sql(tick.by), sql(tick.note)});
    if (!added.empty()) return {tick, true};
    const auto rows = before();
    if (rows.empty())
        throw Error(ErrorCode::unavailable, "the item was ticked and is not any more", {}, true);
    return {tick_of(rows.front()), false};
}

std::vector<ChecklistTick> ChecklistTicks::list(const std::string& list, Timestamp begin, Timestamp end) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM checklist_ticks WHERE list = $1 AND at >= $2 AND "
                                          "at < $3 ORDER BY at, item",
                                          columns),
                              {sql(list), sql(begin), sql(end)});
    });
    std::vector<ChecklistTick> ticks;
    for (const SqlRow& row : rows) ticks.push_back(tick_of(row));
    return ticks;
}

void ChecklistTicks::remember(const std::string& list, const std::vector<std::string>& items, Timestamp now) {
    catalog_.transaction([&](Database& database) {
        for (const std::string& item : items)
            database.query("INSERT INTO checklist_items (list, item, since) VALUES ($1, $2, $3) "
                           "ON CONFLICT (list, item) DO NOTHING",
                           {sql(list), sql(item), sql(now)});
    });
}

std::map<std::string, Timestamp> ChecklistTicks::known_since(const std::string& list) {
    std::map<std::string, Timestamp> since;
    catalog_.with([&](Database& database) {
        for (const SqlRow& row :
             database.query("SELECT item, since FROM checklist_items WHERE list = $1", {sql(list)}))
            since.emplace(row.text(0), row.time(1));
    });
    return since;
}

} // namespace holdfast
