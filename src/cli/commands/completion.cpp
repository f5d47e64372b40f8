#include "cli/completion.h"

#include "cli/configuration.h"
#include "cli/say.h"
#include "watch/rule.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

std::vector<std::string> known_names(const Configuration& configuration, const std::string& what) {
    std::vector<std::string> names;
    if (what == "SOURCE")
        for (const auto& [name, source] : configuration.sources) names.push_back(name);
    if (what == "CHANNEL")
        for (const ChannelSettings& channel : configuration.channels) names.push_back(channel.name);
    if (what == "RULE")
        for (const Rule& rule : all_rules()) names.emplace_back(rule.name);
    if (what == "LIST")
        for (const Checklist& list : checklists_in_force(configuration.checklists))
            names.push_back(list.name);
    return names;
}

// A --config of the line that is being typed names other sources.
std::string configuration_in(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i + 2 < words.size(); ++i)
        if (words[i] == "--config") return words[i + 1];
    return {};
}

int run_complete(CommandContext& context, const CLI::App& app, const std::vector<std::string>& words) {
    const std::string named = configuration_in(words);
    const Configuration other = named.empty() ? Configuration() : load_configuration(named);
    const Configuration& configuration = named.empty() ? context.configuration() : other;
    const Completion completion =
        complete(app, words, [&](const std::string& what) { return known_names(configuration, what); });
    for (const Proposal& proposal : completion.proposals)
        if (proposal.description.empty()) {
            say("{}\n", proposal.word);
        } else {
            say("{}\t{}\n", proposal.word, proposal.description);
        }
    if (completion.files) say(":files\n");
    return exit_done;
}

} // namespace

void add_completion(CLI::App& app, RunCommand& run) {
    auto shell = std::make_shared<std::string>();
    CLI::App* script =
        app.add_subcommand("completion", "Print the script by which a shell completes what is typed");
    script->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    script->callback([shell, &run] {
        run = [shell](CommandContext&) {
            fmt::print("{}", completion_script(*shell));
            return exit_done;
        };
    });
    // What the scripts ask; for nobody else, and so in no help.
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* helper = app.add_subcommand("complete", "What may follow on a command line")->group("");
    helper->add_option("WORD", *words, "Behind --: those up to the one that is being typed");
    helper->callback([words, &app, &run] {
        run = [words, &app](CommandContext& context) { return run_complete(context, app, *words); };
    });
}

} // namespace holdfast
