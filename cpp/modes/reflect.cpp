// reflect: sends every UDP packet back to where it came from.

#include "dataplane/reflect.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/impair.hpp"
#include "dataplane/mode.hpp"

namespace dpdkproj {
namespace {

void run(Dataplane& dataplane) {
  const rs::Options& options = dataplane.options();
  std::vector<Reflect> workers;
  std::vector<ReflectImpaired> impaired;
  for (const QueueOfRun& queue : dataplane.rx_queues()) {
    Port& port = queue.port();
    rust::Box<rs::Reflector> reflector =
        rs::new_reflector(dataplane.session(), queue.number, port.may_deliver_partial_checksums());
    const SlowPath::Inlet inlet = queue.slow_path().inlet(queue.queue);
    // All packets of a tx queue come from the pool of the rx queue with its number.
    const SlowPath::Outlet outlet =
        queue.queue == 0 ? queue.slow_path().outlet(port.rx_pool(0), 0) : SlowPath::Outlet();
    if (options.impaired) {
      impaired.emplace_back(queue.rx(), queue.tx(), std::move(reflector), dataplane.clock(),
                            port.rx_pool(queue.queue), options, inlet, outlet);
    } else {
      workers.emplace_back(queue.rx(), queue.tx(), std::move(reflector), dataplane.clock(), inlet,
                           outlet);
    }
  }
  dataplane.run_workers(std::move(workers), std::move(impaired));
}

const RegisterMode kMode({.name = "reflect",
                          .about = "Send every UDP packet back to where it came from",
                          .meaning = rs::Meaning::Returns,
                          .queues = rs::Queues::Paired,
                          .needs_link = false,
                          .run = run});

}  // namespace
}  // namespace dpdkproj
