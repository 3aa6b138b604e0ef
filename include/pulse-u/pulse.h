/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pulse.h - all of libpulse-u's public interface.
 *
 * A program that uses one area may include that area's header alone.
 */
#ifndef PULSE_U_PULSE_H
#define PULSE_U_PULSE_H

#include <pulse-u/base.h>
#include <pulse-u/histogram.h>
#include <pulse-u/backend.h>
#include <pulse-u/events.h>
#include <pulse-u/topology.h>
#include <pulse-u/affinity.h>
#include <pulse-u/memory.h>
#include <pulse-u/buffer.h>
#include <pulse-u/batch.h>
#include <pulse-u/deque.h>
#include <pulse-u/ring.h>
#include <pulse-u/queue.h>
#include <pulse-u/result.h>
#include <pulse-u/future.h>
#include <pulse-u/executor.h>
#include <pulse-u/timer.h>
#include <pulse-u/pool.h>
#include <pulse-u/fork.h>
#include <pulse-u/task.h>
#include <pulse-u/graph.h>
#include <pulse-u/pipeline.h>
#include <pulse-u/pool_stats.h>
#include <pulse-u/inbox.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/mailbox_shared.h>
#include <pulse-u/message.h>
#include <pulse-u/shared_pool.h>
#include <pulse-u/poller.h>
#include <pulse-u/transport.h>
#include <pulse-u/tls.h>
#include <pulse-u/context.h>
#include <pulse-u/handler.h>
#include <pulse-u/link.h>
#include <pulse-u/wasm.h>
#include <pulse-u/testing.h>
#include <pulse-u/child.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/app.h>
#include <pulse-u/ws.h>
#include <pulse-u/ws_link.h>
#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>
#include <pulse-u/ws_live.h>
#include <pulse-u/ws_route.h>
#include <pulse-u/ws_defer.h>
#include <pulse-u/bus.h>
#include <pulse-u/bus_log.h>
#include <pulse-u/actor.h>
#include <pulse-u/actor_child.h>
#include <pulse-u/actor_handle.h>
#include <pulse-u/control.h>
#include <pulse-u/metrics.h>
#include <pulse-u/middleware.h>
#include <pulse-u/tracer.h>
#include <pulse-u/debug.h>
#include <pulse-u/mesh.h>

#endif /* PULSE_U_PULSE_H */
