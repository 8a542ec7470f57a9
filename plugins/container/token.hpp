// What names one launch for ever: lines `KEY VALUE`. The runner keeps in `.control/token` what is known before the container
// exists, before it says that it is ready, so that a crash of the launching process loses nothing; the engine replaces that by
// the whole once the launch has returned.
#pragma once

#include <string>

namespace container {

struct Token {
    std::string engine;    ///< where it listens, as configured
    std::string uuid;      ///< of the build; the container bears it as a label
    std::string name;      ///< of the container
    std::string id;        ///< of the container; empty: not known
    std::string started;   ///< when, as the engine writes it; empty: not known
    std::string kept_in;   ///< a folder of the engine's that is the container's; empty: not known

    /// Throws litbuild::Error(Code::corrupt): not a token of this plugin.
    static Token parse(const std::string &text);
    std::string text() const;
};

}  // namespace container
