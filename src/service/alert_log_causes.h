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

} // namespace holdfast
