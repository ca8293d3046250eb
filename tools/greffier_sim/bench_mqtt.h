/* What both ends of the reference of sync.throughput share: one connection to the broker as a good C
   program would make it, and the layout of a chunk. */
#ifndef BENCH_MQTT_H
#define BENCH_MQTT_H

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 4 << 20,  /* octets that the subscriber makes durable at once */
    CHUNK = 64 << 10, /* octets of a message, the header excluded */
    HEADER = 8,       /* number of the block, offset in it: 4 octets each, host order */
    WINDOW = 20,      /* messages that the broker has not acknowledged */
};

/* argv: port and host of the broker, three PEM files, then the program's own */
enum { PORT = 1, HOST, AUTHORITY, CERTIFICATE, KEY, OWN };

static inline void fail(const char *what, int code)
{
    fprintf(stderr, "%s: %s\n", what, mosquitto_strerror(code));
    exit(1);
}

static inline void must(const char *what, int code)
{
    if (code != MOSQ_ERR_SUCCESS)
        fail(what, code);
}

/* A client with MQTT 5, TLS 1.3, its certificate, TCP_NODELAY and the window; not connected yet. */
static inline struct mosquitto *client(char **argv)
{
    mosquitto_lib_init();
    struct mosquitto *made = mosquitto_new(NULL, true, NULL);
    if (!made)
        fail("new", MOSQ_ERR_NOMEM);
    must("version", mosquitto_int_option(made, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5));
    must("no delay", mosquitto_int_option(made, MOSQ_OPT_TCP_NODELAY, 1));
    must("sent at once", mosquitto_int_option(made, MOSQ_OPT_SEND_MAXIMUM, WINDOW));
    must("taken at once", mosquitto_int_option(made, MOSQ_OPT_RECEIVE_MAXIMUM, WINDOW));
    must("tls", mosquitto_tls_set(made, argv[AUTHORITY], NULL, argv[CERTIFICATE], argv[KEY], NULL));
    must("tls 1.3", mosquitto_tls_opts_set(made, 1, "tlsv1.3", NULL));
    return made;
}

#endif
