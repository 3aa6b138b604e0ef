// SPDX-License-Identifier: GPL-2.0-only
/* RFC 7692, section 7.1: what is offered, what is agreed on, what is refused. */
#include "peer.h"
#include "ws/deflate.h"

static const struct pulse__ws_deflate_cfg plain = {
	.on = true, .level = 6, .tx = { 15, false }, .rx = { 15, false },
};

/* What the server answers; "" nothing; NULL: the field is no list. */
static const char *answer(const struct pulse__ws_deflate_cfg *cfg,
			  const char *offer)
{
	static char text[PULSE__WS_ANSWER_MAX];
	struct pulse__ws_agreed agreed = { 0 };
	int err = pulse__ws_deflate_offer(cfg, offer, &agreed);

	if (err) {
		KT_EQ(err, -EPROTO);
		return NULL;
	}
	text[0] = 0;
	if (agreed.on)
		KT_EQ(pulse__ws_deflate_answer(&agreed, text), strlen(text));
	return text;
}

#define PMD	"permessage-deflate"
#define SNCT	"; server_no_context_takeover"
#define CNCT	"; client_no_context_takeover"

static const struct {
	const char *offer, *answer;
} offers[] = {
	{ "", "" },
	{ "x-webkit-deflate-frame", "" },
	{ "permessage-deflat", "" },
	{ "permessage-deflate2", "" },
	{ PMD, PMD },
	{ "PerMessage-DEFLATE", PMD },
	{ " \t" PMD " ", PMD },
	{ ",, " PMD " ,", PMD },
	{ "foo, " PMD, PMD },
	{ "foo; a=1; b=\"x\", " PMD, PMD },
	{ PMD "; server_no_context_takeover", PMD SNCT },
	{ PMD ";client_no_context_takeover", PMD CNCT },
	{ PMD " ; client_no_context_takeover ;\tserver_no_context_takeover",
	  PMD SNCT CNCT },
	{ PMD "; client_max_window_bits", PMD },
	{ PMD "; client_max_window_bits=15", PMD },
	{ PMD "; client_max_window_bits=8", PMD "; client_max_window_bits=8" },
	{ PMD "; client_max_window_bits=\"10\"",
	  PMD "; client_max_window_bits=10" },
	/* Escapes within quotes are undone first. */
	{ PMD "; client_max_window_bits=\"1\\0\"",
	  PMD "; client_max_window_bits=10" },
	{ PMD "; client_max_window_bits=\"\\1\\0\"",
	  PMD "; client_max_window_bits=10" },
	{ PMD "; client_max_window_bits=\"1\\00\"", "" },
	{ "foo; a=\"\\x\\y\", " PMD, PMD },
	{ PMD "; server_max_window_bits=15", PMD "; server_max_window_bits=15" },
	{ PMD "; server_max_window_bits=9", PMD "; server_max_window_bits=9" },
	{ PMD "; server_max_window_bits = 12",
	  PMD "; server_max_window_bits=12" },
	/* A compressor that cannot go down to 8 does not promise it. */
	{ PMD "; server_max_window_bits=8", "" },
	{ PMD "; server_max_window_bits=8, " PMD, PMD },
	/* Nothing is taken of an offer with something wrong in it. */
	{ PMD "; server_max_window_bits", "" },
	{ PMD "; server_max_window_bits=7", "" },
	{ PMD "; server_max_window_bits=16", "" },
	{ PMD "; server_max_window_bits=09", "" },
	{ PMD "; server_max_window_bits=-9", "" },
	{ PMD "; server_max_window_bits=100", "" },
	{ PMD "; client_max_window_bits=7", "" },
	{ PMD "; client_max_window_bits=015", "" },
	{ PMD "; client_max_window_bits=a", "" },
	{ PMD "; server_no_context_takeover=1", "" },
	{ PMD "; client_no_context_takeover=\"x\"", "" },
	{ PMD "; unknown", "" },
	{ PMD "; client_max_window_bits; client_max_window_bits", "" },
	{ PMD SNCT SNCT, "" },
	{ PMD "; unknown=1, " PMD CNCT, PMD CNCT },
	{ PMD SNCT ", " PMD, PMD SNCT },
	/* What is no list at all. */
	{ ";", NULL },
	{ PMD ";", NULL },
	{ PMD "; ;", NULL },
	{ PMD "; a=", NULL },
	{ PMD "; a=\"", NULL },
	{ PMD "; a=\"x", NULL },
	{ PMD "; a=\"x y\"", NULL },
	{ PMD "; a=\"x\\", NULL },
	{ PMD "; a=\"x\\\"", NULL },
	{ PMD "; a=\"x\\\"\"", NULL },
	{ PMD "; a=\"\\ \"", NULL },
	{ PMD "; a=1\\0", NULL },
	{ PMD "; a=\"\"", NULL },
	{ PMD " foo", NULL },
	{ PMD "; a b", NULL },
	{ "\"" PMD "\"", NULL },
	{ PMD ", @", NULL },
};

KT_TEST(each_offer_has_its_answer)
{
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		const char *a = answer(&plain, offers[i].offer);

		KT_CHECKF((!a && !offers[i].answer) ||
			  (a && offers[i].answer &&
			   !strcmp(a, offers[i].answer)),
			  "%s: %s, should be %s", offers[i].offer,
			  a ? a : "(no list)",
			  offers[i].answer ? offers[i].answer : "(no list)");
	}
}

KT_TEST(the_servers_own_wishes)
{
	struct pulse__ws_deflate_cfg cfg = plain;

	cfg.tx = (struct pulse__ws_window){ 11, true };
	cfg.rx = (struct pulse__ws_window){ 10, true };
	KT_CHECK(!strcmp(answer(&cfg, PMD),
			 PMD SNCT CNCT "; server_max_window_bits=11"));
	/* A client that does not say it can is not told. */
	KT_CHECK(!strcmp(answer(&cfg, PMD "; client_max_window_bits"),
			 PMD SNCT CNCT "; server_max_window_bits=11"
			 "; client_max_window_bits=10"));
	KT_CHECK(!strcmp(answer(&cfg, PMD "; client_max_window_bits=9"
				"; server_max_window_bits=10"),
			 PMD SNCT CNCT "; server_max_window_bits=10"
			 "; client_max_window_bits=9"));
}

/* The handshake's answer to such a field, or NULL where it was not 101. */
static char *shake(struct pulse_ws_server *server, struct peer *p,
		   const char *fields)
{
	char head[1024];

	snprintf(head, sizeof(head), "%.*s%s\r\n",
		 (int)strlen(UPGRADE) - 2, UPGRADE, fields);
	*p = peer_connect(server);
	KT_CHECK(peer_say(p, head));
	return peer_head(p);
}

KT_TEST(handshakes_say_what_was_agreed_on)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .deflate = &d);
	struct pulse_ws_server *server = serve(&o), *without = serve_echo();
	struct peer p;
	char *head;

	head = shake(server, &p, "Sec-WebSocket-Extensions: " PMD "\r\n");
	KT_CHECK(head && strstr(head, "\r\nSec-WebSocket-Extensions: " PMD
				"\r\n"));
	peer_close(&p);
	/* Several fields are one list. */
	head = shake(server, &p, "Sec-WebSocket-Extensions: foo\r\n"
		     "sec-websocket-extensions: " PMD CNCT "\r\n");
	KT_CHECK(head && strstr(head, "Extensions: " PMD CNCT "\r\n"));
	peer_close(&p);
	head = shake(server, &p, "");
	KT_CHECK(head && !strstr(head, "Extensions"));
	peer_close(&p);
	head = shake(server, &p, "Sec-WebSocket-Extensions: a; =\r\n");
	KT_CHECK(head && !strncmp(head, "HTTP/1.1 400", 12));
	peer_close(&p);
	head = shake(without, &p, "Sec-WebSocket-Extensions: " PMD "\r\n");
	KT_CHECK(head && !strncmp(head, "HTTP/1.1 101", 12) &&
		 !strstr(head, "Extensions"));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_server_destroy(without), 0);
}

KT_TEST(options_out_of_range_are_refused)
{
	static const struct pulse_ws_deflate_opts bad[] = {
		{ .level = 10 }, { .flags = 4 }, { .reserved = 1 },
		{ .server_window_bits = 8 }, { .server_window_bits = 16 },
		{ .client_window_bits = 7 }, { .client_window_bits = 16 },
	};
	struct pulse_ws_server *server;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pulse_ws_deflate_opts d = bad[i];
		PULSE_OPTS(pulse_ws_opts, o, .deflate = &d);

		KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
		d.sz = sizeof(d);
		KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
	}
	KT_CHECK(!pulse_ws_conn_deflates(NULL));
}

KT_MAIN()
