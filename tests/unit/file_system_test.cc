#include "base/file_system.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/file_digest.h"
#include "base/network_file_system.h"
#include "support/temporary_folder.h"

namespace persisting::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileSystemTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string read(const std::string& name) {
    auto contents = files_.read_file(path(name));
    EXPECT_TRUE(contents.ok());
    return contents.ok() ? *contents : "";
  }

  TemporaryFolder folder_;
  FileSystem& files_ = FileSystem::posix();
};

TEST_F(FileSystemTest, ParentFolder) {
  EXPECT_EQ(parent_folder("a/b/c"), "a/b");
  EXPECT_EQ(parent_folder("a/b/"), "a");
  EXPECT_EQ(parent_folder("a//b"), "a");
  EXPECT_EQ(parent_folder("/a"), "/");
  EXPECT_EQ(parent_folder("/"), "/");
  EXPECT_EQ(parent_folder("a"), ".");
  EXPECT_EQ(parent_folder(""), ".");
}

TEST_F(FileSystemTest, AppendsPiecesInOrder) {
  auto file = files_.open_append(path("log"));
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->append({"one ", "", "two "}).ok());
  ASSERT_TRUE((*file)->append({}).ok());
  ASSERT_TRUE((*file)->append({"three"}).ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(read("log"), "one two three");
  EXPECT_EQ(*files_.file_size(path("log")), 13u);
}

TEST_F(FileSystemTest, AppendsMorePiecesThanOneCallTakes) {
  const std::vector<std::string> texts = {"a", "bc", "", "def"};
  std::vector<std::string_view> pieces;
  std::string expected;
  for (std::size_t i = 0; i < 5000; ++i) {
    pieces.push_back(texts[i % texts.size()]);
    expected += texts[i % texts.size()];
  }
  auto file = files_.open_append(path("log"));
  ASSERT_TRUE((*file)->append(pieces).ok());
  EXPECT_EQ(read("log"), expected);
}

TEST_F(FileSystemTest, AppendsBehindTheCutAfterTruncating) {
  auto file = files_.open_append(path("log"));
  ASSERT_TRUE((*file)->append({"0123456789"}).ok());
  ASSERT_TRUE((*file)->truncate(4).ok());
  ASSERT_TRUE((*file)->append({"x"}).ok());
  EXPECT_EQ(read("log"), "0123x");
}

TEST_F(FileSystemTest, AppendsGoIntoRoom) {
  auto file = files_.open_append(path("log"));
  ASSERT_TRUE((*file)->append({"head "}).ok());
  EXPECT_EQ((*file)->room(), 0U);
  ASSERT_TRUE((*file)->reserve(100).ok());
  EXPECT_EQ((*file)->room(), 100U);
  EXPECT_EQ(read("log"), "head " + std::string(100, '\0'));
  ASSERT_TRUE((*file)->append({"first ", "second"}).ok());
  EXPECT_EQ((*file)->room(), 88U);
  EXPECT_EQ(read("log"), "head first second" + std::string(88, '\0'));
  // What is too long for the room begins in it.
  const std::string longer(100, 'x');
  ASSERT_TRUE((*file)->append({longer}).ok());
  EXPECT_EQ((*file)->room(), 0U);
  ASSERT_TRUE((*file)->reserve(10).ok());
  ASSERT_TRUE((*file)->truncate(17).ok());
  EXPECT_EQ((*file)->room(), 0U);
  ASSERT_TRUE((*file)->append({"!"}).ok());
  EXPECT_EQ(read("log"), "head first second!");
}

TEST_F(FileSystemTest, AppendsGoIntoMappedRoom) {
  auto file = files_.open_append(path("log"));
  ASSERT_TRUE((*file)->append({"head "}).ok());
  (*file)->map(1 << 20);
  if (!(*file)->is_mapped()) GTEST_SKIP() << "a file system that is not mapped";
  ASSERT_TRUE((*file)->reserve(100).ok());
  (*file)->append_in_room("eight by and more");
  (*file)->append_in_room("few");
  EXPECT_EQ((*file)->room(), 80U);
  EXPECT_EQ(read("log"), "head eight by and morefew" + std::string(80, '\0'));
  const std::string longer(100, 'x');
  ASSERT_TRUE((*file)->append({longer}).ok());
  EXPECT_EQ(read("log"), "head eight by and morefew" + longer);
  ASSERT_TRUE((*file)->reserve(2 << 20).ok());
  EXPECT_EQ((*file)->room(), (1U << 20) - 125) << "only as much as is mapped";
}

TEST_F(FileSystemTest, RoomIsMadeBesideAppends) {
  auto file = files_.open_append(path("log"));
  (*file)->map(64 << 20);
  std::string expected;
  std::thread maker([&] {
    for (int i = 0; i < 200; ++i) ASSERT_TRUE((*file)->reserve(4096).ok());
  });
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = std::to_string(i) + ";";
    if ((*file)->is_mapped() && (*file)->room() >= piece.size()) {
      (*file)->append_in_room(piece);
    } else {
      ASSERT_TRUE((*file)->append({piece}).ok());
    }
    expected += piece;
  }
  maker.join();
  ASSERT_TRUE((*file)->truncate(expected.size()).ok());
  EXPECT_EQ(read("log"), expected);
}

TEST_F(FileSystemTest, OpensWhatIsThereWithoutEmptyingIt) {
  ASSERT_TRUE((*files_.open_append(path("log")))->append({"first "}).ok());
  ASSERT_TRUE((*files_.open_append(path("log")))->append({"second"}).ok());
  EXPECT_EQ(read("log"), "first second");
}

TEST_F(FileSystemTest, AFullDiskIsNamed) {
  auto file = files_.open_append("/dev/full");
  ASSERT_TRUE(file.ok());
  const Status status = (*file)->append({"bytes"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_THAT(status.error().message, HasSubstr("/dev/full: No space left on device (errno 28)"));
}

TEST_F(FileSystemTest, ErrorsNameCallAndPath) {
  const auto missing = files_.read_file(path("none"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_EQ(missing.error().message,
            "open " + path("none") + ": No such file or directory (errno 2)");
  EXPECT_FALSE(files_.file_size(path("none")).ok());
  EXPECT_FALSE(files_.remove_file(path("none")).ok());
  EXPECT_FALSE(files_.sync_file(path("none")).ok());
  EXPECT_FALSE(files_.sync_folder(path("none")).ok());
  EXPECT_FALSE(files_.rename(path("none"), path("other")).ok());
  EXPECT_FALSE(files_.open_append(path("none/file")).ok());
  EXPECT_FALSE(files_.lock_file(path("none/file")).ok());
}

TEST_F(FileSystemTest, CreatesFoldersAndAcceptsExistingOnes) {
  ASSERT_TRUE(files_.create_folders(path("a/b/c")).ok());
  ASSERT_TRUE(files_.create_folders(path("a/b/c")).ok());
  ASSERT_TRUE(files_.create_folders(path("a/d/")).ok());
  EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
  EXPECT_THAT(*files_.list_folder(path("a")), ElementsAre("b", "d"));
  EXPECT_TRUE(*files_.exists(path("a/b")));
  EXPECT_FALSE(*files_.exists(path("a/x")));
}

TEST_F(FileSystemTest, AFileIsNoFolder) {
  std::ofstream(path("file")) << "x";
  EXPECT_FALSE(files_.create_folders(path("file")).ok());
  EXPECT_FALSE(files_.create_folders(path("file/below")).ok());
  EXPECT_FALSE(*files_.exists(path("file/below")));
}

TEST_F(FileSystemTest, ListsSortedAndAMissingFolderAsEmpty) {
  for (const char* name : {"b", "a", "c"}) std::ofstream(path(name)) << "x";
  EXPECT_THAT(*files_.list_folder(folder_.path()), ElementsAre("a", "b", "c"));
  EXPECT_TRUE(files_.list_folder(path("none"))->empty());
}

TEST_F(FileSystemTest, ReadsARange) {
  ASSERT_TRUE(replace_file_durably(files_, path("file"), "0123456789").ok());
  EXPECT_EQ(files_.read_range(path("file"), 3, 4).value(), "3456");
  EXPECT_EQ(files_.read_range(path("file"), 8, 4).value(), "89");
  EXPECT_EQ(files_.read_range(path("file"), 10, 4).value(), "");
  EXPECT_EQ(files_.read_range(path("file"), 11, 4).value(), "");
  EXPECT_EQ(files_.read_range(path("none"), 0, 4).error().code, ErrorCode::kIo);
}

TEST_F(FileSystemTest, DigestsAFileInPieces) {
  std::string contents;
  for (int i = 0; contents.size() < 9'000'000; ++i) contents += std::to_string(i);
  ASSERT_TRUE(replace_file_durably(files_, path("file"), contents).ok());
  EXPECT_EQ(digest_file(files_, path("file")).value(),
            (FileDigest{contents.size(), checksum64(contents)}));
  EXPECT_EQ(digest_file(files_, path("none")).error().code, ErrorCode::kIo);
}

TEST_F(FileSystemTest, ThisDiskIsNoNetworkFileSystem) {
  EXPECT_EQ(files_.network_file_system(path("")).value(), "");
  EXPECT_THAT(files_.network_file_system(path("none")).error().message, HasSubstr("statfs"));
}

TEST(NetworkFileSystem, IsKnownByItsTypeNumber) {
  EXPECT_EQ(network_file_system_name(0x6969), "nfs");
  EXPECT_EQ(network_file_system_name(0xFF534D42), "cifs");
  EXPECT_EQ(network_file_system_name(0x01021997), "9p");
  EXPECT_EQ(network_file_system_name(0xEF53), "");      // ext4
  EXPECT_EQ(network_file_system_name(0x58465342), "");  // xfs
}

TEST_F(FileSystemTest, ReplacesAFileWhole) {
  ASSERT_TRUE(replace_file_durably(files_, path("head"), "old").ok());
  std::ofstream(path("head.tmp")) << "left behind by a crash, and longer";
  ASSERT_TRUE(replace_file_durably(files_, path("head"), "new").ok());
  EXPECT_EQ(read("head"), "new");
  EXPECT_THAT(*files_.list_folder(folder_.path()), ElementsAre("head"));
}

// Where only half of a rename survived a power cut.
TEST_F(FileSystemTest, ReplacingLeavesASecondNameOfTheFileAlone) {
  ASSERT_TRUE(replace_file_durably(files_, path("file"), "first").ok());
  std::filesystem::create_hard_link(path("file"), path("file.tmp"));
  std::filesystem::create_hard_link(path("file"), path("witness"));
  ASSERT_TRUE(replace_file_durably(files_, path("file"), "second").ok());
  EXPECT_EQ(files_.read_file(path("file")).value(), "second");
  EXPECT_EQ(files_.read_file(path("witness")).value(), "first");
}

TEST_F(FileSystemTest, ASecondLockIsBusyAndNamesTheHolder) {
  auto lock = files_.lock_file(path("LOCK"));
  ASSERT_TRUE(lock.ok());
  const auto second = files_.lock_file(path("LOCK"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_THAT(second.error().message,
              HasSubstr("is held by process " + std::to_string(::getpid())));
  lock->reset();
  EXPECT_TRUE(files_.lock_file(path("LOCK")).ok());
}

TEST_F(FileSystemTest, ADeadHoldersPidIsReplaced) {
  std::ofstream(path("LOCK")) << "99999999 a long leftover\n";
  auto lock = files_.lock_file(path("LOCK"));
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(read("LOCK"), std::to_string(::getpid()) + "\n");
}

// A child process that runs `body` and then waits to be told to end.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) {
    EXPECT_EQ(::pipe(to_child_), 0);
    EXPECT_EQ(::pipe(from_child_), 0);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::close(to_child_[1]);
    const char answer = body() ? 'y' : 'n';
    char end;
    const bool told =
        ::write(from_child_[1], &answer, 1) == 1 && ::read(to_child_[0], &end, 1) >= 0;
    ::_exit(told ? 0 : 1);
  }
  ~Child() {
    for (const int descriptor : {to_child_[0], to_child_[1], from_child_[0], from_child_[1]}) {
      ::close(descriptor);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }
  bool answer() {
    char answer = 'n';
    return ::read(from_child_[0], &answer, 1) == 1 && answer == 'y';
  }

 private:
  int to_child_[2];
  int from_child_[2];
  pid_t pid_;
};

TEST_F(FileSystemTest, AForkedChildDoesNotKeepTheLock) {
  auto lock = files_.lock_file(path("LOCK"));
  ASSERT_TRUE(lock.ok());
  Child child([] { return true; });
  ASSERT_TRUE(child.answer());
  lock->reset();
  EXPECT_TRUE(files_.lock_file(path("LOCK")).ok()) << "while the child lives";
}

TEST_F(FileSystemTest, AForkedChildDoesNotReleaseTheLock) {
  auto lock = files_.lock_file(path("LOCK"));
  ASSERT_TRUE(lock.ok());
  Child child([&] {
    lock->reset();
    return true;
  });
  ASSERT_TRUE(child.answer());
  const auto second = files_.lock_file(path("LOCK"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
}

TEST_F(FileSystemTest, AForkedChildIsToldWhoHoldsTheLock) {
  auto lock = files_.lock_file(path("LOCK"));
  ASSERT_TRUE(lock.ok());
  const std::string holder = "process " + std::to_string(::getpid());
  Child child([&] {
    const auto second = files_.lock_file(path("LOCK"));
    return !second.ok() && second.error().message.ends_with("is held by " + holder);
  });
  EXPECT_TRUE(child.answer());
}

}  // namespace
}  // namespace persisting::testing
