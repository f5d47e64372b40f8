#include "base/random.h"
#include "fuzz/real_inputs.h"
#include "repository/grant.h"
#include "repository/key_file.h"
#include "repository/revocation.h"

namespace holdfast {

namespace {

Secret filled(Byte value) { return Secret::copy_of(Bytes(32, value)); }

void add_slots(std::vector<RealInput>& inputs) {
    SlotRecord record;
    record.label = "recovery key";
    record.domain = "default";
    record.signing_public = slot_signing_key(filled(5)).public_key();
    record.box_public = slot_box_key(filled(5)).public_key();
    record.wrapped = wrap_slot(record.slot, filled(6), {filled(5), {}, record.signing_public});
    inputs.push_back({"slot", "key-file", write_slot(record)});
    record.kind = SlotKind::passphrase;
    record.role = Role::full;
    inputs.push_back({"slot", "passphrase", write_slot(record)});
    record.kind = SlotKind::public_key;
    record.role = Role::write;
    record.label = "B\xc3\xbcro";
    inputs.push_back({"slot", "public-key", write_slot(record)});
}

void add_grants(std::vector<RealInput>& inputs) {
    const BoxKey key(filled(1));
    const std::string name = grant_name(SlotId{}, 1);
    SeededRandom random(3);
    Grant full;
    full.role = Role::full;
    full.domain = "default";
    full.newest_epoch = 2;
    full.identity_scope = IdentityScope::master;
    full.identity = filled(7);
    for (const std::uint32_t epoch : {1U, 2U}) {
        full.structure.emplace(epoch, filled(8));
        full.content.emplace(epoch, filled(9));
    }
    for (const Role role : {Role::full, Role::read, Role::write, Role::prune}) {
        const Bytes body = seal_grant(cut_grant(full, role, "office"), name, key.public_key(), random);
        // grant_fuzz.cpp seals by itself what stands inside.
        ByteWriter info;
        info.raw(as_bytes("holdfast grant"));
        info.sized(name);
        const auto plain = key.open(info.bytes(), ByteView(body).subspan(1));
        const ByteView inside = plain.value().view();
        inputs.push_back({"grant", std::string(to_string(role)), Bytes(inside.begin(), inside.end())});
    }
}

void add_revocations(std::vector<RealInput>& inputs) {
    Revocation revocation;
    revocation.label = "old laptop";
    revocation.role = Role::write;
    revocation.domain = "default";
    inputs.push_back({"revocation", "of-nothing", write_revocation(revocation)});
    RunId run;
    run.bytes.fill(1);
    revocation.runs = {RunId{}, run};
    revocation.objects = {{commit_name(run), {}}, {std::string(config_name), {}}};
    inputs.push_back({"revocation", "of-runs-and-objects", write_revocation(revocation)});
}

void add_key_files(std::vector<RealInput>& inputs) {
    const auto add = [&](const std::string& name, std::string_view text) {
        inputs.push_back({"key_file", name, selected({}, text)});
    };
    const Secret key = filled(10);
    const std::string digits = to_hex(key.view());
    add("digits", digits + "\n");
    add("digits-comment-and-root", "# of the archive\nroot " + digits + "\n\n" + digits + "\n");
    add("recovery", to_recovery_text(key));
    add("recovery-and-root", "root " + digits + "\n" + to_recovery_text(key) + "\n");
    add("identity", to_identity_text(key) + "\n");
}

} // namespace

void add_keys(std::vector<RealInput>& inputs) {
    add_slots(inputs);
    add_grants(inputs);
    add_revocations(inputs);
    add_key_files(inputs);
}

} // namespace holdfast
