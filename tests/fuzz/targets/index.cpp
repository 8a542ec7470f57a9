// Notes of a team's index: as they lie there, and under a checksum that is right.
#include <segment.hpp>

#include "../target.hpp"

using namespace litbuild;
using namespace litbuild::detail;

namespace {

void read_all(std::string note)
{
    Segment segment(std::move(note), 7);
    Summary summary{{"contoso", 1}, {}, false, {}, {}};
    try {
        while (const std::optional<Record> record = segment.next()) {
            (void)record->has_tag("nightly");
            record->fill(summary);
            summary.name.runid = record->runid();
            const std::string again = Record::text_of(summary);
            fuzz::must(again.empty() || again.size() == record->size(), "what was read is written as it was");
        }
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::corrupt, "damage is called damage");
    }
}

}  // namespace

FUZZ_TARGET(index)
{
    read_all(std::string(input));
    read_all(Segment::note_of({input}, 7));
    const std::string_view version = fuzz::next_piece(input);
    if (const auto names = names_of(input, version))
        for (size_t i = 1; i < names->size(); ++i) fuzz::must((*names)[i].runid <= (*names)[i - 1].runid, "from high to low");
}
