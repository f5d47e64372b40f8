#include "base/error.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/text.h"
#include "repository/key_file.h"

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string label = "owner";
    std::string domain = "default";
    bool no_recovery_key = false;
};

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

// The options that name the key again, with a space in front; none for a passphrase.
std::string key_words(const RepositoryAccess& access) {
    if (access.key_file) return " --key-file " + shell_word(*access.key_file);
    if (access.private_key_file) return " --private-key " + shell_word(*access.private_key_file);
    return "";
}

int run_init(CommandContext& context, const Arguments& arguments) {
    RepositoryAccess access = context.access(arguments.repository, true);
    bool made_key_file = false;
    if (access.key_file && ::access(access.key_file->c_str(), F_OK) != 0) {
        Secret key(32);
        system_random().fill(key.mutable_view());
        write_key_file(*access.key_file, key);
        made_key_file = true;
    }
    CreateSettings settings;
    settings.label = arguments.label;
    settings.domain = arguments.domain;
    settings.recovery_key = !arguments.no_recovery_key;
    CreateResult result;
    try {
        result = create_repository_at(access, settings, context.logger());
    } catch (...) {
        if (made_key_file) ::unlink(access.key_file->c_str());
        throw;
    }

    const StoreCapabilities& can = result.capabilities;
    const bool collects = can.put_if_absent && can.consistent;
    nlohmann::json value = {
        {"repository", result.repository.hex()},
        {"url", access.url},
        {"recovery_key", result.recovery_text},
        {"capabilities",
         {{"put_if_absent", can.put_if_absent},
          {"consistent", can.consistent},
          {"object_lock", can.object_lock},
          {"versions", can.versions},
          {"server_copy", can.server_copy}}},
        {"can_prune", collects},
    };
    if (made_key_file) value["key_file_made"] = *access.key_file;
    const std::string next = fmt::format("holdfast backup --repo {}{} --source NAME PATH",
                                         shell_word(access.url), key_words(access));
    value["next"] = next;
    const auto print_recovery_key = [&] {
        if (result.recovery_text.empty()) return;
        fmt::print("\nRecovery key. It opens the repository when every other key is lost, and it is "
                   "shown only now:\n"
                   "print it, keep it where no computer is.\n\n{}\n",
                   result.recovery_text);
    };
    // What is shown only once is shown to the quiet, too.
    if (context.options().quiet && !context.json()) print_recovery_key();
    context.report(value, [&] {
        say("Created repository {} at {}\n", short_id(result.repository.hex()), access.url);
        if (made_key_file) say("Made the key file {}. Keep a copy of it elsewhere.\n", *access.key_file);
        say("The store: put-if-absent {}, consistent {}, object lock {}, versions {}\n",
            yes_or_no(can.put_if_absent), yes_or_no(can.consistent), yes_or_no(can.object_lock),
            yes_or_no(can.versions));
        if (!collects) {
            say("It is append-only for Holdfast: backups work, pruning will be refused, because two "
                "writers could\n"
                "not be kept apart safely.\n");
        }
        print_recovery_key();
        say("\nNext, back something up:\n  {}\n", next);
    });
    return exit_done;
}

} // namespace

void add_init(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("init", "Create a repository");
    command
        ->add_option("REPOSITORY,--repo", arguments->repository,
                     "file:///path, /path, or s3://bucket/prefix?endpoint=…")
        ->envname("HOLDFAST_REPOSITORY");
    command->add_option("--label", arguments->label, "Name of the first key slot")->capture_default_str();
    command
        ->add_option("--domain", arguments->domain, "Machines of one domain deduplicate against each other")
        ->capture_default_str();
    command->add_flag("--no-recovery-key", arguments->no_recovery_key, "Make no recovery key");
    command->footer("With --key-file, a file that does not exist is made.");
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_init(context, *arguments); };
    });
}

} // namespace holdfast
