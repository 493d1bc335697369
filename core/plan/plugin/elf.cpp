#include "plan/plugin/elf.h"

#include <elf.h>

#include <cstring>

#include "trellis/plan/error.h"

namespace trellis::plugin {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#else
#error "plugins need a 64-bit x86 or ARM processor"
#endif

// A part of the file; every access to the file goes through here.
std::string_view part(std::string_view file, std::uint64_t offset, std::uint64_t size) {
  if (offset > file.size() || size > file.size() - offset)
    fail(ExitCode::plugin, "the file is cut short or damaged: it has {} bytes and refers to {} bytes at {}",
         file.size(), size, offset);
  return file.substr(offset, size);
}

template <class T>
T record(std::string_view table, std::uint64_t index) {
  T result;
  std::memcpy(&result, part(table, index * sizeof(T), sizeof(T)).data(), sizeof(T));
  return result;
}

std::string_view text_at(std::string_view strings, std::uint64_t offset) {
  const std::string_view rest = part(strings, offset, strings.size() - std::min<std::uint64_t>(offset, strings.size()));
  return rest.substr(0, rest.find('\0'));
}

Elf64_Ehdr header_of(std::string_view file) {
  if (!file.starts_with(ELFMAG)) fail(ExitCode::plugin, "this is not a shared library (not an ELF file)");
  const auto header = record<Elf64_Ehdr>(file, 0);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine)
    fail(ExitCode::plugin, "this library is for another processor (ELF machine {}, expected {})", header.e_machine,
         kMachine);
  if (header.e_type != ET_DYN) fail(ExitCode::plugin, "this is an ELF file, but not a shared library");
  if (header.e_shentsize != sizeof(Elf64_Shdr))
    fail(ExitCode::plugin, "the file is damaged: it has no table of sections");
  return header;
}

}  // namespace

std::vector<std::string> symbols_in_section(std::string_view file, std::string_view section) {
  const Elf64_Ehdr header = header_of(file);
  const std::string_view table = part(file, header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr));
  const auto contents = [&](std::uint64_t index) {
    const auto entry = record<Elf64_Shdr>(table, index);
    return part(file, entry.sh_offset, entry.sh_size);
  };

  const std::string_view names = contents(header.e_shstrndx);
  int wanted = -1, dynamic = -1;
  for (int i = 0; i < header.e_shnum; ++i) {
    const auto entry = record<Elf64_Shdr>(table, i);
    if (entry.sh_type == SHT_DYNSYM) dynamic = i;
    if (text_at(names, entry.sh_name) == section) wanted = i;
  }
  std::vector<std::string> result;
  if (wanted < 0 || dynamic < 0) return result;

  const std::string_view symbols = contents(dynamic);
  const std::string_view strings = contents(record<Elf64_Shdr>(table, dynamic).sh_link);
  for (std::uint64_t i = 0; i < symbols.size() / sizeof(Elf64_Sym); ++i) {
    const auto symbol = record<Elf64_Sym>(symbols, i);
    if (symbol.st_shndx == wanted && ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT)
      result.emplace_back(text_at(strings, symbol.st_name));
  }
  return result;
}

}  // namespace trellis::plugin
