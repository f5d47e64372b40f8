#include "cli/completion.h"

#include <algorithm>
#include <sstream>

namespace holdfast {

namespace {

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// Those that may stand here: the command's own, and those of all commands.
std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    std::vector<const CLI::Option*> options;
    for (const CLI::App* at = &app; at != nullptr; at = at->get_parent())
        for (const CLI::Option* option : at->get_options())
            if (!option->get_group().empty()) options.push_back(option);
    return options;
}

const CLI::Option* option_named(const CLI::App& app, const std::string& word) {
    for (const CLI::Option* option : options_of(app))
        if (!word.empty() && word[0] == '-' && option->check_name(word)) return option;
    return nullptr;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Of "TEXT:{auto,full,incremental}".
std::vector<std::string> choices_of(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const std::size_t begin = type.find('{'), end = type.rfind('}');
    std::vector<std::string> choices;
    if (begin == std::string::npos || end == std::string::npos || end < begin) return choices;
    std::istringstream words(type.substr(begin + 1, end - begin - 1));
    for (std::string word; std::getline(words, word, ',');) choices.push_back(word);
    return choices;
}

// "--type" "=" "fu" becomes "--type=fu", as other shells have it.
std::vector<std::string> joined(const std::vector<std::string>& words) {
    std::vector<std::string> joined;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool equals = words[i] == "=" && !joined.empty() && joined.back().starts_with("--");
        if (!equals) {
            joined.push_back(words[i]);
            continue;
        }
        joined.back() += '=';
        if (i + 1 < words.size()) joined.back() += words[++i];
    }
    return joined;
}

class Completer {
  public:
    Completer(const CLI::App& app, const KnownNames& names) : at_(&app), names_(names) {}

    Completion run(const std::vector<std::string>& words, bool split_by_shell) {
        for (std::size_t i = 0; i + 1 < words.size(); ++i) pass(words[i]);
        typed_ = words.empty() ? "" : words.back();
        const std::size_t equals = typed_.find('=');
        if (awaiting_ != nullptr) {
            propose_values(*awaiting_);
        } else if (!only_arguments_ && typed_.starts_with("--") && equals != std::string::npos) {
            const std::string name = typed_.substr(0, equals);
            typed_ = typed_.substr(equals + 1);
            // A shell that splits there replaces what is behind the sign alone.
            if (const CLI::Option* option = option_named(*at_, name))
                propose_values(*option, split_by_shell ? "" : name + "=");
        } else if (!only_arguments_ && typed_.starts_with('-')) {
            propose_options();
        } else if (const auto commands = commands_of(*at_); !commands.empty()) {
            for (const CLI::App* command : commands)
                propose(command->get_name(), first_line(command->get_description()));
        } else {
            propose_argument();
        }
        return std::move(completion_);
    }

  private:
    void pass(const std::string& word) {
        if (awaiting_ != nullptr) {
            awaiting_ = nullptr;
        } else if (only_arguments_) {
            ++arguments_;
        } else if (word == "--") {
            only_arguments_ = true;
        } else if (word.starts_with('-')) {
            const CLI::Option* option = option_named(*at_, word);
            if (option != nullptr && takes_value(*option)) awaiting_ = option;
        } else {
            const auto commands = commands_of(*at_);
            const auto found =
                std::ranges::find(commands, word, [](const auto* one) { return one->get_name(); });
            if (found != commands.end()) {
                at_ = *found;
            } else {
                ++arguments_;
            }
        }
    }

    void propose(const std::string& word, const std::string& description = {}, const std::string& head = {}) {
        if (word.starts_with(typed_)) completion_.proposals.push_back({head + word, description});
    }

    void propose_options() {
        for (const CLI::Option* option : options_of(*at_))
            for (const std::string& name : option->get_lnames())
                propose("--" + name, first_line(option->get_description()));
    }

    void propose_values(const CLI::Option& option, const std::string& head = {}) {
        const std::vector<std::string> choices = choices_of(option);
        for (const std::string& choice : choices) propose(choice, {}, head);
        if (!choices.empty()) return;
        const bool is_source = option.check_lname("source");
        if (is_source) propose_names("SOURCE", head);
        completion_.files = !is_source;
    }

    void propose_names(const std::string& what, const std::string& head = {}) {
        for (const std::string& name : names_(what)) propose(name, {}, head);
    }

    // Of the command's arguments the one that is next; the last may be many.
    void propose_argument() {
        const std::vector<const CLI::Option*> places =
            at_->get_options([](const CLI::Option* option) { return option->get_positional(); });
        if (places.empty()) return;
        const std::size_t next = std::min(arguments_, places.size() - 1);
        const CLI::Option& place = *places[next];
        if (next < arguments_ && place.get_items_expected_max() < 2) return;
        const std::string name = place.get_single_name();
        const std::vector<std::string> choices = choices_of(place);
        for (const std::string& choice : choices) propose(choice);
        if (!choices.empty()) return;
        // What takes a path or a snapshot takes the name of a source in most places.
        const bool path = name == "PATH" || name == "FILE" || name == "DESTINATION" || name == "REPOSITORY";
        propose_names(path || name == "SNAPSHOT" ? "SOURCE" : name);
        completion_.files = path;
    }

    const CLI::App* at_;
    const KnownNames& names_;
    Completion completion_;
    std::string typed_;
    const CLI::Option* awaiting_ = nullptr; // the option whose value comes next
    std::size_t arguments_ = 0;             // that have been typed
    bool only_arguments_ = false;           // behind a "--"
};

constexpr const char* bash_script = R"(# bash completion for holdfast
_holdfast() {
    local current=${COMP_WORDS[COMP_CWORD]} line
    [[ $current == "=" ]] && current=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <("${COMP_WORDS[0]/#\~/$HOME}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _holdfast holdfast
)";

constexpr const char* zsh_script = R"(#compdef holdfast
_holdfast() {
    local line files=
    local -a found
    for line in "${(@f)$(${~words[1]} complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            files=1
        elif [[ -n $line ]]; then
            local word=${line%%$'\t'*} text=${line#*$'\t'}
            [[ $line == *$'\t'* ]] && found+=("${word//:/\\:}:$text") || found+=("${word//:/\\:}")
        fi
    done
    (( $#found )) && _describe holdfast found
    [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi
)";

constexpr const char* fish_script = R"(# fish completion for holdfast
function __holdfast_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$current"
        else
            printf '%s\n' "$line"
        end
    end
end
complete -c holdfast -f -a '(__holdfast_complete)'
)";

} // namespace

Completion complete(const CLI::App& app, std::vector<std::string> words, const KnownNames& names) {
    const std::vector<std::string> whole = joined(words);
    return Completer(app, names).run(whole, whole.size() != words.size());
}

std::string completion_script(const std::string& shell) {
    return shell == "bash" ? bash_script : shell == "zsh" ? zsh_script : fish_script;
}

} // namespace holdfast
