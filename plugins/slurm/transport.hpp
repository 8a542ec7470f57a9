// Two ways to Slurm's controller: slurmrestd, or the program litbuild-slurm, which uses Slurm's C library. What is asked and
// answered is the same: a part of slurmrestd's API v0.0.38.
#pragma once

#include <memory>
#include <string>

#include <service/http.hpp>

#include "options.hpp"

namespace slurm {

using service::NotReached;
using service::Unreachable;
using service::Verb;

/// Threads: any.
class Transport {
public:
    virtual ~Transport() = default;
    /// Starts the sentences of errors.
    virtual const std::string &object() const noexcept = 0;
    /// `target` and `body` (JSON) as of slurmrestd, behind the version. Returns the answer, JSON. Throws NotReached, Unreachable
    /// (it may have been done), what Call::check throws (likewise), or another Error where nothing was or would be sent.
    virtual std::string ask(const litbuild::Call &call, Verb verb, const std::string &target, const std::string &body) const = 0;
};

std::unique_ptr<Transport> open_transport(const Settings &settings);

}  // namespace slurm
