// SPDX-License-Identifier: GPL-2.0-only
/* Our client and npm's ws as the server: echoes with compression, closing. */
#include "keeping.h"

#include <sys/wait.h>

static struct {
	size_t len[64];
	int nr, wrong;
} back;

static uint8_t text[300000];

static int arrived(void)
{
	return __atomic_load_n(&back.nr, __ATOMIC_ACQUIRE);
}

static void compare(struct pulse_ws_conn *conn, int op, const void *data,
		    size_t len, void *arg)
{
	(void)conn;
	(void)arg;
	if (op != PULSE_WS_BINARY || len > sizeof(text) ||
	    memcmp(data, text, len))
		back.wrong++;
	back.len[back.nr & 63] = len;
	__atomic_fetch_add(&back.nr, 1, __ATOMIC_RELEASE);
}

/* What a command prints first; its end comes with the end of *in. */
static pid_t run(const char *command, FILE **in, char *line, size_t len)
{
	int to[2], from[2];
	FILE *out;
	pid_t pid;

	*line = 0;
	if (pipe(to) || pipe(from))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	*in = fdopen(to[1], "w");
	out = fdopen(from[0], "r");
	if (!fgets(line, (int)len, out))
		*line = 0;
	line[strcspn(line, "\n")] = 0;
	fclose(out);
	return pid;
}

static void talk(const char *where, struct pulse_ws_deflate_opts *d)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, 300000 };
	static const char *const subprotocols[] = { "v1", "v2", NULL };
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = compare);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .deflate = d,
		   .subprotocols = subprotocols);
	PULSE_OPTS(pulse_ws_connect_opts, c, .url = where);
	struct pulse_ws_server *client;
	struct pulse_ws_conn *conn;

	memset(&back, 0, sizeof(back));
	client = serve_keeping(&o, &h);
	KT_EQ(pulse_ws_connect(client, &c, &conn), 0);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_conn_deflates(conn), d != NULL);
	KT_STREQ(pulse_ws_conn_subprotocol(conn), "v2");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		KT_EQ(pulse_ws_send(conn, PULSE_WS_BINARY, text, sizes[i]), 0);
	KT_CHECK(EVENTUALLY(arrived() == ARRAY_SIZE(sizes)));
	KT_EQ(back.wrong, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		KT_EQ(back.len[i], sizes[i]);
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "close", 5), 0);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_EQ(closed_codes[0], 4001);
	KT_CHECK(EVENTUALLY(!stats_of(client).connections));
	pulse_ws_put(conn);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

KT_TEST(a_client_of_npms_server_with_and_without_compression)
{
	PULSE_OPTS(pulse_ws_deflate_opts, all, .level = 6);
	PULSE_OPTS(pulse_ws_deflate_opts, small, .server_window_bits = 10,
		   .client_window_bits = 9,
		   .flags = PULSE_WS_SERVER_FORGETS | PULSE_WS_CLIENT_FORGETS);
	char line[256], url[300];
	FILE *in = NULL;
	int status;
	pid_t pid;

	pid = run("d=$(selftests/interop/npm_ws 2>&1) || { echo \"skip $d\"; exit; }\n"
		  "NODE_PATH=$d/node_modules exec node "
		  "selftests/interop/npm_ws_server.js", &in, line, sizeof(line));
	if (!strncmp(line, "skip ", 5)) {
		fclose(in);
		waitpid(pid, &status, 0);
		KT_SKIP("%s", line + 5);
	}
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)((i * 7 + i / 300) % 61);
	if (KT_CHECK(!strncmp(line, "listening on ", 13))) {
		snprintf(url, sizeof(url), "ws://%s/chat?a=b", line + 13);
		talk(url, NULL);
		talk(url, &all);
		talk(url, &small);
	}
	fclose(in);
	KT_EQ(waitpid(pid, &status, 0), pid);
}

KT_MAIN()
