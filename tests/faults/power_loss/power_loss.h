// Power cuts, played: what programs have not synced by then is gone. See recorder.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace holdfast::test {

// What a cut leaves. File systems may keep any part of what was not synced; these are the two ends.
enum class Survives {
    synced_only,     // contents and names as they were synced last: what was removed since is there again
    names_as_at_end, // all names as they were in the end, of contents only what was synced
};

class PowerLoss {
  public:
    // Watches `root`, which exists. Notes are kept in `notes`, a folder that is made.
    PowerLoss(std::string root, std::string notes);

    // For programs whose syncs count; others' do not.
    std::map<std::string, std::string> environment() const;
    // How many syncs of files and directories were asked for since sync_all().
    std::uintmax_t syncs() const;
    // All that is there now is durable, whoever wrote it.
    void sync_all() const;
    // Has the power fail: `root` becomes what survives, all of it durable. What was there is kept beside it
    // for people who look into it. Nothing may write below `root` meanwhile.
    void fail(Survives what);

  private:
    void bring_back_names(const std::string& key, const std::string& to) const;
    void bring_back_contents(const std::string& from, const std::string& to) const;
    // Empty when it was never synced.
    void bring_back_file(const std::string& key, const std::string& to, unsigned mode) const;

    const std::string root_, notes_;
    int failures_ = 0;
};

} // namespace holdfast::test
