#include "fuzz/real_inputs.h"
#include "repository/moved_pack.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/snapshot.h"
#include "repository/protocol/statement.h"
#include "repository/protocol/verdict.h"

namespace holdfast {

namespace {

RunId run_of(Byte value) {
    RunId run;
    run.bytes.fill(value);
    return run;
}

PackId pack_of(Byte run, std::uint32_t seq, std::uint8_t kind = data_pack) {
    return {run_of(run), seq, kind, 0};
}

const Timestamp noon = from_rfc3339("2026-11-20T12:00:00.5Z");

// As protocol_fuzz.cpp chooses its decoders.
void add(std::vector<RealInput>& inputs, const std::string& name, Byte selector, const Bytes& body) {
    inputs.push_back({"protocol", name, selected({selector}, body)});
}

void add_snapshots(std::vector<RealInput>& inputs) {
    Snapshot snapshot;
    snapshot.source = "home";
    snapshot.kind = "documents";
    snapshot.time = snapshot.end = noon;
    snapshot.root.location = {{pack_of(1, 0, metadata_pack), 0}, 0, 100};
    add(inputs, "snapshot", 0, encode_snapshot(snapshot));
    snapshot.parent = run_of(2);
    snapshot.sequence = 9;
    snapshot.host = "host";
    snapshot.domain = "office";
    snapshot.paths = {"/srv/docs", "/srv/\xff\xfe", "hex:00"};
    snapshot.tags = {{"color", "red"}, {"\xc3", "\xa4\x80"}};
    snapshot.state = SnapshotState::partial;
    snapshot.totals.files = 12;
    snapshot.totals.bytes = UINT64_MAX / 2;
    snapshot.compression = "level 3, halved";
    snapshot.program = "holdfast 0.1.0";
    add(inputs, "snapshot-with-everything", 0, encode_snapshot(snapshot));
}

void add_verdicts(std::vector<RealInput>& inputs) {
    DoomedPacks doomed;
    doomed.remove_pack(pack_of(1, 0));
    doomed.add_all_frames(pack_of(1, 0));
    doomed.add_frame({pack_of(1, 300), 0});
    doomed.add_frame({pack_of(1, 300), 17});
    doomed.remove_pack(pack_of(2, 1, metadata_pack));
    add(inputs, "condemned-list-empty", 1, encode_condemned_list({}));
    add(inputs, "condemned-list", 1, encode_condemned_list({doomed}));
    Verdict verdict;
    add(inputs, "verdict-empty", 2, encode_verdict(verdict));
    verdict.abandoned = true;
    add(inputs, "verdict-abandoned", 2, encode_verdict(verdict));
    verdict.abandoned = false;
    verdict.doomed = doomed;
    verdict.moves = {{pack_of(1, 0), {pack_of(9, 0), pack_of(9, 1)}}};
    verdict.snapshots = {run_of(3), run_of(4)};
    verdict.earlier.remove_pack(pack_of(5, 0));
    verdict.earlier_moves = {{pack_of(5, 0), {pack_of(8, 2)}}};
    verdict.united = {run_of(7), run_of(8)};
    add(inputs, "verdict-with-everything", 2, encode_verdict(verdict));
}

void add_statements(std::vector<RealInput>& inputs) {
    Statement statement;
    statement.time = noon;
    statement.snapshot = run_of(1);
    statement.name = "color";
    statement.value = "red";
    add(inputs, "statement-tag", 3, encode_statement(statement));
    statement.type = StatementType::hold;
    statement.value.reset();
    add(inputs, "statement-hold", 3, encode_statement(statement));
    // From 128 on the second of its slot, which follows another.
    statement.id.number = 1;
    statement.previous.emplace().bytes.fill(4);
    statement.type = StatementType::release;
    statement.name.clear();
    statement.releases = StatementId{SlotId{}, 0};
    add(inputs, "statement-release", 129, encode_statement(statement));
    statement.releases.reset();
    statement.snapshot.reset();
    statement.source = "home\xff";
    statement.type = StatementType::verification;
    statement.name = "content";
    statement.value = "sound";
    add(inputs, "statement-verification-of-source", 129, encode_statement(statement));
    statement.source.reset();
    statement.type = StatementType::policy;
    statement.name = "production";
    statement.value = R"({"sources":["*"],"time_zone":"UTC","retention":{"daily":7}})";
    add(inputs, "statement-policy", 129, encode_statement(statement));
    statement.value.reset();
    add(inputs, "statement-policy-taken-back", 129, encode_statement(statement));
}

} // namespace

void add_protocol(std::vector<RealInput>& inputs) {
    add_snapshots(inputs);
    add_verdicts(inputs);
    add_statements(inputs);
    add(inputs, "moved", 4, encode_moved({pack_of(1, 0), pack_of(2, 70000, log_pack)}));
    add(inputs, "intent-of-writer", 5, encode_intent({RunRole::writer, "backup of home", noon}));
    add(inputs, "intent-of-collector", 5, encode_intent({RunRole::collector, "prune", noon}));
}

} // namespace holdfast
