// Looks into a shared library without loading it. Boost.DLL's library_info is not used for this: it reads the static
// symbol table, which `strip` takes away, and it checks no offset, so that a damaged file would crash the reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trellis::plugin {

// Names of the dynamic symbols that lie in a section, given the bytes of a 64-bit ELF shared library. Empty when there
// is no such section. Throws Error (plugin) when this is not such a library for this processor, or cut short.
std::vector<std::string> symbols_in_section(std::string_view file, std::string_view section);

}  // namespace trellis::plugin
