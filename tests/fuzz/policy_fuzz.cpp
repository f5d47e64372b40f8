// Policies: refused as wrong use, or read; then their JSON reads as the same policy, and their schedules run.
#include "base/bytes.h"
#include "base/error.h"
#include "policy/policy_form.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace holdfast;
    try {
        const Policy policy = parse_policy("fuzz", as_text({data, size}));
        const std::string json = policy_json(policy);
        if (policy_json(parse_policy("fuzz", json)) != json) std::abort();
        const Timestamp from = Timestamp(std::chrono::sys_days(std::chrono::year(2026) / 11 / 20));
        for (const BackupPlan& plan : policy.backups) {
            const Schedule schedule = policy.schedule_of(plan, "source");
            const auto run = schedule.next(from);
            if (run && (run->nominal <= from || run->begin < run->nominal)) std::abort();
            if (run && schedule.due(from, run->begin) != run) {
                // A later one may have begun before the first, when delays differ; nothing else.
                const auto due = schedule.due(from, run->begin);
                if (!due || due->begin > run->begin || due->nominal < run->nominal) std::abort();
            }
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) std::abort();
    }
    return 0;
}
