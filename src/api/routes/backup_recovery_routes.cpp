#include "api/routes/routes.h"

#include <array>

namespace holdfast::api {

namespace {

struct Named {
    const char* method;
    const char* path;
    const char* name;
    Permission permission;
};

// What others add a handler to, when what it asks of exists.
constexpr std::array<Named, 19> named{{
    {"GET", "/database/backups", "listDatabaseBackups", Permission::read},
    {"GET", "/database/backups/{id}", "getDatabaseBackup", Permission::read},
    {"GET", "/database/statistics", "getDatabaseStatistics", Permission::read},
    {"GET", "/verification/lifecycle-stats", "getVerificationLifecycle", Permission::read},
    {"GET", "/verification/{id}", "getVerification", Permission::read},
    {"GET", "/recovery/point-in-time/{timestamp}", "getRecoveryPoint", Permission::read},
    {"GET", "/disaster-recovery/status", "getDisasterRecoveryStatus", Permission::read},
    {"GET", "/disaster-recovery/plans", "listRecoveryPlans", Permission::read},
    {"POST", "/disaster-recovery/plans", "createRecoveryPlan", Permission::configure},
    {"GET", "/disaster-recovery/plans/{id}", "getRecoveryPlan", Permission::read},
    {"GET", "/documents/backups", "listDocumentBackups", Permission::read},
    {"GET", "/documents/backups/{id}/verify", "getDocumentVerification", Permission::read},
    {"GET", "/documents/statistics", "getDocumentStatistics", Permission::read},
    {"GET", "/documents/{id}", "getDocumentBackup", Permission::read},
    {"GET", "/retention/lifecycle-stats", "getRetentionLifecycle", Permission::read},
    {"GET", "/monitoring/dashboard", "getDashboard", Permission::read},
    {"GET", "/monitoring/alerts", "listMonitoringAlerts", Permission::read},
    {"POST", "/monitoring/alerts/{id}/acknowledge", "acknowledgeAlert", Permission::acknowledge},
    {"POST", "/monitoring/alerts/{id}/resolve", "resolveAlert", Permission::acknowledge},
}};

} // namespace

void add_backup_recovery_routes(Router& router, const RouteServices& services) {
    const std::string base = "/v1/backup-recovery";
    for (const Named& route : named)
        router.add({.method = route.method,
                    .path = base + route.path,
                    .name = route.name,
                    .permission = route.permission});
    const auto work = [&](const char* path, const char* name, Permission permission, const char* kind,
                          std::map<std::string, std::string> implied,
                          std::map<std::string, std::string> from_path, const char* action = "") {
        router.add({.method = "POST",
                    .path = base + path,
                    .name = name,
                    .permission = permission,
                    .action = action,
                    .handle = begin_work(services, kind, std::move(implied), std::move(from_path))});
    };
    work("/database/backup/full", "startFullBackup", Permission::back_up, "backup",
         {{"type", "full"}, {"source_kind", "postgresql"}}, {});
    work("/database/backup/incremental", "startIncrementalBackup", Permission::back_up, "backup",
         {{"type", "incremental"}, {"source_kind", "postgresql"}}, {});
    work("/verification/verify/{id}", "verifyBackup", Permission::back_up, "verify", {},
         {{"id", "snapshot"}});
    work("/verification/verify-all", "verifyAllBackups", Permission::back_up, "verify", {{"scope", "all"}},
         {});
    work("/disaster-recovery/point-in-time-recovery", "startPointInTimeRecovery", Permission::restore,
         "restore", {{"source_kind", "postgresql"}}, {});
    work("/disaster-recovery/test/{planId}", "testRecoveryPlan", Permission::restore, "drill", {},
         {{"planId", "plan"}});
    work("/disaster-recovery/failover", "startFailover", Permission::restore, "failover", {}, {});
    work("/documents/backup", "startDocumentBackup", Permission::back_up, "backup",
         {{"source_kind", "documents"}}, {});
    work("/documents/backups/{id}/verify", "verifyDocumentBackup", Permission::back_up, "verify", {},
         {{"id", "snapshot"}});
    work("/retention/enforce-policies", "enforceRetention", Permission::remove, "retention", {}, {},
         "backups.delete");
}

} // namespace holdfast::api
