#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/say.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "repository/key_file.h"
#include "repository/key_slots.h"

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string label, role = "write", domain = "default";
    std::string new_key_file, identity;
    std::string slot;
    std::string private_key_path;
    bool new_passphrase = false;
    std::vector<std::string> distrusted;
};

// The keys of an open repository for changing; needs the full role.
struct OpenKeys {
    OpenStore store;
    Unlocked unlocked;
    KeySlots slots;
    OpenKeys(OpenStore opened, Unlocked keys)
        : store(std::move(opened)),
          unlocked(std::move(keys)),
          slots(*store.store, system_clock(), system_random(), unlocked) {}
};

std::unique_ptr<OpenKeys> open_keys(CommandContext& context, const std::string& repository) {
    RepositoryAccess access = context.access(repository);
    access.store.logger = &context.logger();
    OpenStore store = open_store(access.url, access.store);
    Unlocked unlocked = unlock(*store.store, credential_of(access, context.logger()));
    return std::make_unique<OpenKeys>(std::move(store), std::move(unlocked));
}

int run_list(CommandContext& context, const Arguments& arguments) {
    const auto keys = open_keys(context, arguments.repository);
    const std::vector<SlotSummary> slots = keys->slots.list();
    nlohmann::json value = nlohmann::json::array();
    for (const SlotSummary& slot : slots) {
        value.push_back({{"slot", slot.slot.hex()},
                         {"label", slot.label},
                         {"role", to_string(slot.role)},
                         {"domain", slot.domain},
                         {"kind", slot.kind ? nlohmann::json(to_string(*slot.kind)) : nlohmann::json()},
                         {slot.removed ? "removed" : "created", to_rfc3339(slot.time)},
                         {"own", slot.own},
                         {"epoch", slot.newest_epoch}});
    }
    context.print(value, [&] {
        say("{:<11}{:<18}{:<7}{:<12}{:<12}{}\n", "SLOT", "LABEL", "ROLE", "DOMAIN", "KIND", "SINCE");
        for (const SlotSummary& slot : slots) {
            say("{:<11}{:<18}{:<7}{:<12}{:<12}{}{}\n", short_id(slot.slot.hex()) + (slot.own ? "*" : ""),
                slot.label, to_string(slot.role), slot.domain, slot.kind ? to_string(*slot.kind) : "-",
                local_time(slot.time), slot.removed ? " (removed)" : "");
        }
    });
    return exit_done;
}

int run_add(CommandContext& context, const Arguments& arguments) {
    const std::optional<Role> role = role_from(arguments.role);
    if (!role) throw Error(ErrorCode::usage, fmt::format("there is no role '{}'", arguments.role));
    if ((arguments.new_key_file.empty() ? 0 : 1) + (arguments.identity.empty() ? 0 : 1) +
            (arguments.new_passphrase ? 1 : 0) !=
        1) {
        throw Error(ErrorCode::usage, "say how the new holder proves himself",
                    "one of --new-key-file FILE, --new-passphrase, --identity TEXT");
    }
    const auto keys = open_keys(context, arguments.repository);
    NewSlot slot;
    slot.label = arguments.label;
    slot.role = *role;
    slot.domain = arguments.domain;
    std::optional<Credential> credential;
    if (!arguments.identity.empty()) {
        slot.identity = from_identity_text(arguments.identity);
    } else if (arguments.new_passphrase) {
        credential = Credential::passphrase(ask_passphrase(true, context.stop()));
    } else {
        if (::access(arguments.new_key_file.c_str(), F_OK) != 0) {
            Secret key(32);
            system_random().fill(key.mutable_view());
            write_key_file(arguments.new_key_file, key);
        }
        credential = Credential::key_file(read_key_file(arguments.new_key_file));
    }
    slot.credential = credential ? &*credential : nullptr;
    const SlotId added = keys->slots.add(slot);
    context.report(
        {{"slot", added.hex()}, {"label", slot.label}, {"role", to_string(*role)}, {"domain", slot.domain}},
        [&] { say("Added slot {} '{}' of role {}\n", short_id(added.hex()), slot.label, to_string(*role)); });
    return exit_done;
}

int run_remove(CommandContext& context, const Arguments& arguments) {
    const auto keys = open_keys(context, arguments.repository);
    RemoveOptions options;
    for (const std::string& run : arguments.distrusted) {
        const std::optional<RunId> id = id_from_hex<16>(run);
        if (!id)
            throw Error(ErrorCode::usage,
                        fmt::format("--distrust: '{}' is not the whole id of a snapshot", run));
        options.distrusted.insert(*id);
    }
    const RemovedSlot removed = keys->slots.remove(keys->slots.find(arguments.slot), options);
    context.report({{"slot", removed.slot.hex()},
                    {"label", removed.label},
                    {"runs", removed.runs},
                    {"remains_readable", removed.remains_readable}},
                   [&] {
                       say("Removed slot {} '{}'. {} of its runs {} still.\n{}\n",
                           short_id(removed.slot.hex()), removed.label, removed.runs,
                           removed.runs == 1 ? "counts" : "count", removed.remains_readable);
                   });
    return exit_done;
}

int run_rotate(CommandContext& context, const Arguments& arguments) {
    const auto keys = open_keys(context, arguments.repository);
    const std::uint32_t epoch = keys->slots.rotate();
    context.report({{"epoch", epoch}}, [&] {
        say("New keys, epoch {}: what is written from now on is encrypted under them.\n"
            "What was written before stays readable for whoever has the old keys.\n",
            epoch);
    });
    return exit_done;
}

int run_identity(CommandContext& context, const Arguments& arguments) {
    if (::access(arguments.private_key_path.c_str(), F_OK) != 0) {
        Secret seed(32);
        system_random().fill(seed.mutable_view());
        write_key_file(arguments.private_key_path, seed);
    }
    const std::string text = to_identity_text(read_key_file(arguments.private_key_path).key);
    const std::string next =
        fmt::format("holdfast key add --label NAME --role write --identity {}", shell_word(text));
    context.print({{"identity", text}, {"private_key", arguments.private_key_path}, {"next", next}}, [&] {
        say("{}\n", text);
        // Beside the identity, which a script may take from standard output.
        if (!context.options().quiet) say(stderr, "Whoever has a full key types:\n  {}\n", next);
    });
    return exit_done;
}

using Run = int (*)(CommandContext&, const Arguments&);

void on_call(CLI::App* command, const std::shared_ptr<Arguments>& arguments, RunCommand& run, Run function) {
    command->callback([arguments, &run, function] {
        run = [arguments, function](CommandContext& context) { return function(context, *arguments); };
    });
}

} // namespace

void add_key(CLI::App& app, RunCommand& run) {
    CLI::App* key = app.add_subcommand("key", "Who holds keys to the repository");
    key->require_subcommand(1);

    auto for_list = std::make_shared<Arguments>();
    CLI::App* list = key->add_subcommand("list", "List key slots");
    add_repository_option(*list, for_list->repository);
    on_call(list, for_list, run, run_list);

    auto for_add = std::make_shared<Arguments>();
    CLI::App* add = key->add_subcommand("add", "Give somebody keys");
    add_repository_option(*add, for_add->repository);
    add->add_option("--label", for_add->label, "Name of the slot")->required();
    add->add_option("--role", for_add->role,
                    "full; read: restore; write: back up only, can read no content; prune: no content")
        ->check(CLI::IsMember({"full", "read", "write", "prune"}))
        ->capture_default_str();
    add->add_option("--domain", for_add->domain, "Deduplicates within this domain")->capture_default_str();
    add->add_option("--new-key-file", for_add->new_key_file,
                    "The new holder's key file; made if it does not exist");
    add->add_flag("--new-passphrase", for_add->new_passphrase, "Ask for the new holder's passphrase");
    add->add_option("--identity", for_add->identity,
                    "What 'holdfast key identity' printed on the new holder's machine, in quotes");
    on_call(add, for_add, run, run_add);

    auto for_remove = std::make_shared<Arguments>();
    CLI::App* remove = key->add_subcommand("remove", "Take somebody's keys away");
    add_repository_option(*remove, for_remove->repository);
    remove->add_option("SLOT", for_remove->slot, "Id, beginning of an id, or label")->required();
    remove
        ->add_option("--distrust", for_remove->distrusted,
                     "Snapshots of this slot that shall not count; whole ids")
        ->allow_extra_args(false);
    on_call(remove, for_remove, run, run_remove);

    auto for_rotate = std::make_shared<Arguments>();
    CLI::App* rotate = key->add_subcommand("rotate", "Make new keys for what is written from now on");
    add_repository_option(*rotate, for_rotate->repository);
    on_call(rotate, for_rotate, run, run_rotate);

    auto for_identity = std::make_shared<Arguments>();
    CLI::App* identity =
        key->add_subcommand("identity", "Make a private key, print the public identity for 'key add'");
    identity->add_option("FILE", for_identity->private_key_path, "Private key; made if it does not exist")
        ->required();
    on_call(identity, for_identity, run, run_identity);
}

} // namespace holdfast
