#pragma once

namespace dpdkproj {

/// Opens those of the descriptors 0, 1 and 2 that are closed, so that no file, socket or device
/// opened later gets such a number, and with it the output meant for stdout or stderr. Every write
/// to a stdout or stderr opened here fails, because its reader is gone. Must be called before
/// anything else.
void open_standard_descriptors();

}  // namespace dpdkproj
