#pragma once

namespace dpdkproj {

/// Opens those of the descriptors 0, 1 and 2 that are closed, so that no file, socket or device
/// that is opened later gets one of them and then what is printed there. Those of stdout and stderr
/// are opened such that every write fails: who was to read it is gone. To be called before anything
/// else.
void open_standard_descriptors();

}  // namespace dpdkproj
