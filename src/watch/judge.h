// The parts of judge(), one for each kind of subject. Internal to it.
#pragma once

#include "base/secret_text.h"
#include "watch/judgement.h"

#include <utility>

namespace holdfast {

// Where a part leaves what it finds of one subject.
class Bench {
  public:
    Bench(const Facts& facts, const RuleBook& rules, std::vector<Judgement>& judgements)
        : facts_(facts), rules_(rules), judgements_(judgements) {}

    const Facts& facts() const { return facts_; }
    Timestamp now() const { return facts_.at; }

    // Asks `decide(const Rule&)` for a judgement when the rule is on; fills in rule, subject and severity.
    // One that comes back with a worse severity keeps it.
    template <typename Decide>
    void ask(std::string_view rule_name, const std::string& subject, Decide&& decide) {
        const Rule& rule = *find_rule(rule_name);
        if (!rules_.is_on(rule)) return;
        Judgement judgement = decide(rule);
        const Severity usual = rules_.severity(rule);
        judgement.severity = worse_ ? std::min(usual, *worse_) : usual;
        worse_.reset();
        judgement.rule = &rule;
        // It may have words of somebody's error, and is told to many.
        judgement.summary = without_secrets(judgement.summary);
        judgement.subject = subject;
        judgements_.push_back(std::move(judgement));
    }
    std::int64_t threshold(const Rule& rule, std::string_view name) const {
        return rules_.threshold(rule, name);
    }
    // Makes the judgement that is being made at least so severe.
    void worsen(Severity severity) { worse_ = severity; }

  private:
    const Facts& facts_;
    const RuleBook& rules_;
    std::vector<Judgement>& judgements_;
    std::optional<Severity> worse_;
};

inline double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

void judge_backups(Bench& bench, const SourceFacts& source);
void judge_log(Bench& bench, const SourceFacts& source);
void judge_repository(Bench& bench, const RepositoryFacts& repository);
void judge_server(Bench& bench, const ServerFacts& server);
void judge_channel(Bench& bench, const ChannelFacts& channel);
void judge_checklist(Bench& bench, const ChecklistFacts& checklist);

} // namespace holdfast
