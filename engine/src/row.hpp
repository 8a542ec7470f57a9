// What a Row is filled from.
#pragma once

#include "segment.hpp"

namespace litbuild::detail {

/// The list that a row is of.
class RowSource {
public:
    virtual void path(const Name &name, std::filesystem::path &out) const = 0;
    /// As it lies there; with State::unknown and why, where that cannot be told.
    virtual Summary read_again(const Name &name) const = 0;
    virtual const std::string &team() const noexcept = 0;

protected:
    ~RowSource() = default;
};

/// Makes the next build of the list of a row. What is given is borrowed for as long as that row is looked at.
struct RowFiller {
    explicit RowFiller(const RowSource &source) { row.source_ = &source; }

    /// Whatever there is to know of it is not asked for.
    void fill(const Name &name);
    void fill(const Name &name, const Record &record, std::chrono::milliseconds as_of);
    void fill(const Name &name, const Summary &summary);

    /// Instead of the record, which is damaged.
    static void read_afresh(const Row &row);

    Row row;

private:
    void clear(const Name &name);
};

}  // namespace litbuild::detail
