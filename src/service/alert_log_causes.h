// What goes wrong with the log of a PostgreSQL cluster, brought about in the sandbox. Internal to
// try_alert().
#pragma once

#include "service/alert_stage.h"

namespace holdfast {

// A cluster with a snapshot and its log behind it, of which every second of a day is promised.
void protect_cluster(AlertStage& stage);
// A segment of its log goes before it is archived; what comes behind it is archived again.
void lose_a_segment(AlertStage& stage);

// The same cluster, a day and some hours later.
void protect_cluster_for_long(AlertStage& stage);
// A newer snapshot is made, and the one that the window begins with is forgotten.
void forget_the_oldest(AlertStage& stage);

// A cluster whose log is archived, of which no more than an hour may be lost.
void promise_an_hour(AlertStage& stage);
// It commits while the repository takes nothing, and hours pass.
void commit_in_vain(AlertStage& stage);

// A cluster whose log is received.
void start_receiver(AlertStage& stage);
// The receiver ends, and more time passes than it may be silent.
void stop_receiver(AlertStage& stage);

} // namespace holdfast
