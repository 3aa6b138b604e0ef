/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_stream.h - connections that carry much: messages sent in pieces, receiving
 * that is paused, and moving a connection to another loop.
 *
 * Messages are received in pieces by on_chunk of struct pulse_ws_handlers.
 */
#ifndef PULSE_U_WS_STREAM_H
#define PULSE_U_WS_STREAM_H

#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * pulse_ws_send_begin() - begin a message that is sent in pieces
 * @conn: the connection
 * @opcode: PULSE_WS_TEXT or PULSE_WS_BINARY
 *
 * Each piece goes out as a frame of its own, not compressed. There is one such
 * message at a time; other messages that are sent meanwhile follow behind it,
 * pings and pongs do not wait. From any thread, the pieces also from several if
 * they take turns.
 *
 * Return: 0; -EBUSY another one is under way; -EINVAL; -EPIPE it is closing;
 * -ESRCH it is gone; -ENOMEM.
 */
PULSE_API int pulse_ws_send_begin(struct pulse_ws_conn *conn, int opcode);

/**
 * pulse_ws_send_piece() - send the next piece
 * @conn: the connection
 * @data: copied, or sent, before this returns; text may be cut anywhere
 * @len: bytes
 *
 * Return: 0 taken; -EAGAIN too much is unsent: wait for on_drain, and send the
 * piece again; -EINVAL, also where no message was begun; -EMSGSIZE; -EPIPE;
 * -ESRCH; -ENOMEM.
 */
PULSE_API int pulse_ws_send_piece(struct pulse_ws_conn *conn, const void *data,
				  size_t len);

/**
 * pulse_ws_send_end() - end the message
 * @conn: the connection
 *
 * Never refused for what is unsent.
 *
 * Return: 0; -EINVAL, also where no message was begun; -EPIPE; -ESRCH; -ENOMEM
 * it has not ended.
 */
PULSE_API int pulse_ws_send_end(struct pulse_ws_conn *conn);

/**
 * pulse_ws_pause() - receive nothing more
 * @conn: the connection
 *
 * In a handler: nothing after what is being handled. From another thread some
 * may still come. The peer is slowed down, and its silence is not held against
 * it; a close of its own is not seen. Closing ends the pause.
 *
 * Return: 0; -EINVAL; -EPIPE; -ESRCH; -ENOMEM.
 */
PULSE_API int pulse_ws_pause(struct pulse_ws_conn *conn);

/**
 * pulse_ws_resume() - receive again
 * @conn: the connection
 *
 * Return: 0; -EINVAL; -EPIPE; -ESRCH; -ENOMEM.
 */
PULSE_API int pulse_ws_resume(struct pulse_ws_conn *conn);

/**
 * pulse_ws_migrate() - move a connection to another loop of its server
 * @conn: the connection
 * @loop: 0 to one less than the server's threads
 *
 * From any thread; it happens after the handlers that run now. Nothing is lost,
 * sent twice or reordered, messages of topics included. Handlers are never
 * called by two loops at once. A connection whose transport cannot move, or one
 * that closes meanwhile, stays.
 *
 * Return: 0 it will; -EINVAL; -EPIPE it is not open; -ESRCH it is gone; -ENOMEM.
 */
PULSE_API int pulse_ws_migrate(struct pulse_ws_conn *conn, uint32_t loop);

/**
 * pulse_ws_conn_loop() - which loop a connection belongs to
 * @conn: the connection
 *
 * Return: from 0; stale when it is read; -EINVAL.
 */
PULSE_API int pulse_ws_conn_loop(const struct pulse_ws_conn *conn);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_STREAM_H */
