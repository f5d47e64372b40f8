// What the signature at the end of an object is over (docs/format.md, section 2).
#pragma once

#include "repository/object.h"

#include <span>

namespace holdfast {

// `parts`, one behind the other, are all of the object that stands before its signature.
ObjectDigest digest_of_object(std::span<const ByteView> parts);

} // namespace holdfast
