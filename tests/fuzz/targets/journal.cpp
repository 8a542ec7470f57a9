// The record of a move to another file system, by itself, and as a store meets it that is to finish the move.
#include <folder-store/folder_store.hpp>
#include <folder-store/journal.hpp>
#include <folder-store/posix_fs.hpp>

#include "../folder.hpp"

using namespace litbuild;

FUZZ_TARGET(journal)
{
    const std::string op = "3-5f3a90c2d1e4b687";
    if (const auto journal = folder::parse_journal(op, input)) {
        const auto again = folder::parse_journal(op, to_text(*journal));
        fuzz::must(again && to_text(*again) == to_text(*journal), "a record that is written is read as the same");
        fuzz::must(journal->op == op && journal->runid == folder::runid_of_op(op), "a record is of the operation that it is named after");
    }

    static const fuzz::Folder folder;
    static folder::FolderStore store(std::make_unique<folder::PosixFs>(folder.path().string()));
    folder.put("contoso/logs/3/build.json", R"({"runid":3,"uuid":"00000000-0000-4000-8000-000000000003"})");
    folder.put("contoso/logs/3/data", "mine");
    folder.put("contoso/logs/archive/.mv-" + op + "/data", "half");
    folder.put("contoso/logs/.ops/" + op + ".json", input);
    const BuildName build{"contoso", 3};
    for (const bool archived : {true, false}) {
        try {
            const Entry entry = archived ? store.archive(Call::within(std::chrono::seconds(5)), build) : store.restore(Call::within(std::chrono::seconds(5)), build);
            fuzz::must(entry.archived == archived, "it is where it was to go");
        } catch (const Error &e) {
            fuzz::must(e.code() != Code::internal && e.code() != Code::not_found, std::string("a record loses nothing: ") + e.what());
        }
        std::string text;
        store.read(Call(), build, "data", 0, 0, [&](std::string_view piece) {
            text += piece;
            return true;
        });
        fuzz::must(text == "mine", "a build stays whole");
    }
    try {
        store.examine(Call(), "contoso", Repair::yes, [](const Finding &) { return true; });
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::unsupported, std::string("a record does not keep a team from being examined: ") + e.what());
    }
    fuzz::must(!store.find(Call(), build).path.empty(), "a repair loses nothing");
    std::error_code error;
    fuzz::fs::remove_all(folder.path() / "contoso", error);
}
