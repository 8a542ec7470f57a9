// The token of local-process, as it is kept with a build.
#include <litbuild/error.hpp>

#include <local-process/token.hpp>

#include "../target.hpp"

FUZZ_TARGET(token)
{
    local_process::Token token;
    try {
        token = local_process::Token::parse(std::string(input));
    } catch (const litbuild::Error &e) {
        fuzz::must(e.code() == litbuild::Code::corrupt, "what is no token is called damaged");
        return;
    }
    fuzz::must(token.pid > 0 && token.start > 0 && !token.boot.empty() && !token.uuid.empty(), "a token names one process");
    const local_process::Token again = local_process::Token::parse(token.text());
    fuzz::must(again.pid == token.pid && again.start == token.start && again.boot == token.boot && again.uuid == token.uuid &&
                   again.host == token.host && again.cgroup == token.cgroup && again.cgroup_inode == token.cgroup_inode &&
                   again.text() == token.text(),
               "a token that is written is read as the same");
}
