// What Slurm's controller answers, and behind a separator the token of the plugin slurm.
#include <slurm/cluster.hpp>
#include <slurm/launching.hpp>
#include <slurm/standing.hpp>
#include <slurm/token.hpp>

#include "../target.hpp"

namespace {

class Told final : public slurm::Transport {
public:
    explicit Told(std::string_view answer) : answer_(answer) {}
    const std::string &object() const noexcept override { return object_; }
    std::string ask(const litbuild::Call &, slurm::Verb, const std::string &, const std::string &) const override { return answer_; }

private:
    const std::string object_ = "slurm", answer_;
};

}  // namespace

FUZZ_TARGET(slurm)
{
    std::string_view rest = input;
    const slurm::Cluster cluster(std::make_unique<Told>(fuzz::next_piece(rest)), std::chrono::seconds(1));
    try {
        for (const slurm::Job &job : cluster.all({})) {
            const litbuild::Probe probe = slurm::probe_of(job);
            for (const char c : probe.evidence) fuzz::must(static_cast<unsigned char>(c) >= 0x20, "a sentence is one line");
            (void)slurm::build_of(job.comment);
        }
        (void)cluster.submit({}, {});
    } catch (const litbuild::Error &e) {
        fuzz::must(std::string_view(e.what()).starts_with("slurm: "), std::string("the sentence starts with the object: ") + e.what());
    }
    slurm::Token token;
    try {
        token = slurm::Token::parse(std::string(rest));
    } catch (const litbuild::Error &e) {
        fuzz::must(e.code() == litbuild::Code::corrupt, "what is no token is called damaged");
        return;
    }
    fuzz::must(!token.uuid.empty(), "a token names one build");
    const std::string text = token.text();
    fuzz::must(slurm::Token::parse(text).text() == text, "a token that is written is read as the same");
}
