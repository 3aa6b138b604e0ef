/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * certs.h - certificates for one run of a test, by the openssl command: an
 * authority, one of "localhost" and 127.0.0.1, one of "other.test", one of
 * "*.wild.test", and one that nobody vouches for. They lie in a folder that goes when the program ends.
 */
#ifndef PULSE_SELFTESTS_CERTS_H
#define PULSE_SELFTESTS_CERTS_H

#include "plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char certs_dir[64];

static inline void certs_remove(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", certs_dir);
	if (*certs_dir && system(cmd))
		perror(certs_dir);
}

/* Why there are none, or NULL. */
static inline const char *certs_make(void)
{
	static const char script[] =
		"cd %s && exec 2>log && set -e\n"
		"new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n"
		"$new -x509 -keyout ca.key -out ca.pem -subj /CN=authority "
		"-addext basicConstraints=critical,CA:TRUE\n"
		"one() { $new -keyout $1.key -out $1.csr -subj /CN=$2; "
		"echo subjectAltName=$3 > $1.ext; openssl x509 -req -in $1.csr "
		"-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext "
		"-out $1.pem; }\n"
		"one srv localhost DNS:localhost,IP:127.0.0.1\n"
		"one other other.test DNS:other.test\n"
		"one wild wild.test DNS:*.wild.test\n"
		"$new -x509 -keyout self.key -out self.pem -subj /CN=localhost "
		"-addext subjectAltName=DNS:localhost,IP:127.0.0.1\n";
	char cmd[2048];

	if (*certs_dir)
		return NULL;
	if (system("command -v openssl >/dev/null"))
		return "there is no openssl command";
	strcpy(certs_dir, "/tmp/pulse-certs-XXXXXX");
	if (!mkdtemp(certs_dir)) {
		*certs_dir = 0;
		return "no folder for certificates";
	}
	atexit(certs_remove);
	snprintf(cmd, sizeof(cmd), script, certs_dir);
	return system(cmd) ? "the openssl command failed" : NULL;
}

/* The path of one of those files, until the call after the next seven. */
static inline const char *certs_file(const char *name)
{
	static char paths[8][96];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", certs_dir, name);
	return path;
}

#endif /* PULSE_SELFTESTS_CERTS_H */
