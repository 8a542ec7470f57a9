// Whether another host, on which a build runs, is still heard of.
//
// Its runner rewrites `.control/beat` every few seconds. Two hosts' clocks are never compared: the age of the beat is the
// file server's to tell, by its clock alone; where it cannot be asked, how long the beat has stood still is measured by the
// clock of this process, which has to have watched for as long.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include <litbuild/call.hpp>
#include <litbuild/names.hpp>

namespace litbuild::detail {

struct Core;

/// Threads: any.
class Hearing {
public:
    /// Why a build's host is believed to be gone, in words; empty: it is heard of, or nothing can be told.
    std::string silence(const Core &core, const Call &call, const BuildName &build);
    /// The same for a build that `host` was to start: it has made the folder, and then?
    std::string silence_of_launcher(const Core &core, const Call &call, const BuildName &build, const std::string &host);
    /// A runner of another boot, on this host or elsewhere, beats.
    bool is_heard(const Core &core, const Call &call, const BuildName &build);

private:
    struct Seen {
        std::string beat;
        Clock::time_point since{};    ///< first seen like that
        Clock::time_point looked{};   ///< last
        Clock::time_point after{};    ///< it has beaten after this; zero: not known
    };
    Seen look(const std::string &build, const std::string &beat);

    std::mutex mutex_;
    std::map<std::string, Seen> seen_;
};

}  // namespace litbuild::detail
