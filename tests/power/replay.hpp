// What a power cut leaves on the disks: all that came before the last flush of each, and of what came since whatever is
// wanted: nothing, all, or any part of it, for a disk with a cache may write in any order.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <random>

#include <power/disks.hpp>

namespace power {

/// The content of a disk: its blocks that are not zero.
class Image {
public:
    static constexpr size_t block_size = 4096;

    void read(int file, uint64_t size)
    {
        std::array<char, block_size> block;
        for (off_t at = 0; (at = ::lseek(file, at, SEEK_DATA)) >= 0 && static_cast<uint64_t>(at) < size;) {
            at -= at % static_cast<off_t>(block_size);
            must(::pread(file, block.data(), block_size, at) == static_cast<ssize_t>(block_size), "read a disk");
            if (block != std::array<char, block_size>{}) blocks_[static_cast<uint64_t>(at)] = block;
            at += static_cast<off_t>(block_size);
        }
    }
    void write(uint64_t offset, std::string_view content)
    {
        while (!content.empty()) {
            const uint64_t in_block = offset % block_size;
            const size_t length = std::min<size_t>(content.size(), block_size - in_block);
            std::memcpy(blocks_[offset - in_block].data() + in_block, content.data(), length);
            offset += length;
            content.remove_prefix(length);
        }
    }
    /// A file of its own, which nobody else sees.
    Descriptor file(uint64_t size) const
    {
        Descriptor out(::memfd_create("image", MFD_CLOEXEC));
        must(out && ::ftruncate(out.get(), static_cast<off_t>(size)) == 0, "memory for an image");
        for (const auto &[offset, block] : blocks_)
            must(::pwrite(out.get(), block.data(), block_size, static_cast<off_t>(offset)) == static_cast<ssize_t>(block_size), "write an image");
        return out;
    }

private:
    std::map<uint64_t, std::array<char, block_size>> blocks_;
};

enum class Unflushed { none, all, some };

class Replay {
public:
    /// From here on; `now` is what the disks hold.
    explicit Replay(const Disks &disks) : disks_(disks), at_(disks.position()), pending_(disks.count()), flushed_(disks.count())
    {
        for (size_t i = 0; i < disks.count(); ++i) flushed_[i].read(disks.file(i), disks.size(i));
    }

    uint64_t position() const noexcept { return at_; }
    /// On to the moment at which the log held so many records.
    void go(uint64_t position)
    {
        for (; at_ < position; ++at_) {
            const Record &record = disks_.record(at_);
            auto &pending = pending_[record.disk];
            if (record.kind == Record::write) {
                pending.push_back(at_);
                continue;
            }
            for (const uint64_t i : pending) apply(flushed_[record.disk], disks_.record(i));
            pending.clear();
        }
    }
    bool has_unflushed() const noexcept
    {
        for (const auto &pending : pending_)
            if (!pending.empty()) return true;
        return false;
    }
    /// The disks after a power cut now.
    std::vector<Descriptor> cut(Unflushed kept, std::mt19937_64 &random) const
    {
        std::vector<Descriptor> out;
        for (size_t disk = 0; disk < flushed_.size(); ++disk) {
            Image image = flushed_[disk];
            constexpr std::array<double, 5> chances{0, 0.1, 0.5, 0.9, 1};
            std::bernoulli_distribution survives(chances[random() % chances.size()]);
            for (const uint64_t i : pending_[disk]) {
                const Record &record = disks_.record(i);
                if (kept == Unflushed::all) apply(image, record);
                if (kept == Unflushed::some) apply(image, record, [&] { return survives(random); });
            }
            out.push_back(image.file(disks_.size(disk)));
        }
        return out;
    }

private:
    // A long write may get through in part.
    void apply(Image &image, const Record &record, const std::function<bool()> &keep = nullptr) const
    {
        std::string_view content = disks_.content(record);
        for (uint64_t offset = record.offset; !content.empty();) {
            const size_t length = std::min<size_t>(content.size(), Image::block_size - offset % Image::block_size);
            if (!keep || keep()) image.write(offset, content.substr(0, length));
            offset += length;
            content.remove_prefix(length);
        }
    }

    const Disks &disks_;
    uint64_t at_;
    std::vector<std::vector<uint64_t>> pending_;   ///< writes since the last flush, of each disk
    std::vector<Image> flushed_;
};

}  // namespace power
