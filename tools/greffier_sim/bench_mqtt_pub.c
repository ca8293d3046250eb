/* The publisher of the reference of sync.throughput: libmosquitto and nothing else. Publishes blocks,
   waits until the subscriber has acknowledged each as durable, prints the seconds that it took.

   bench_mqtt_pub PORT HOST AUTHORITY CERTIFICATE KEY CHUNK_TOPIC DONE_TOPIC BLOCKS */
#include "bench_mqtt.h"

#include <semaphore.h>
#include <time.h>

enum { CHUNK_TOPIC = OWN, DONE_TOPIC, BLOCKS };

static sem_t subscribed, room, durable;

static void on_connect(struct mosquitto *client, void *argv, int code)
{
    must("connect", code);
    must("subscribe", mosquitto_subscribe(client, NULL, ((char **)argv)[DONE_TOPIC], 1));
}

static void on_subscribe(struct mosquitto *client, void *argv, int id, int count, const int *granted)
{
    (void)client, (void)argv, (void)id, (void)count, (void)granted;
    sem_post(&subscribed);
}

static void on_publish(struct mosquitto *client, void *argv, int id, int code,
                       const mosquitto_property *properties)
{
    (void)client, (void)argv, (void)id, (void)properties;
    if (code)
        fail("refused by the broker", code);
    sem_post(&room);
}

static void on_message(struct mosquitto *client, void *argv, const struct mosquitto_message *message)
{
    (void)client, (void)argv, (void)message;
    sem_post(&durable);
}

int main(int argc, char **argv)
{
    if (argc != BLOCKS + 1)
        return 2;
    static uint8_t block[BLOCK], message[HEADER + CHUNK];
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)(i * 2654435761U >> 13);
    uint32_t blocks = (uint32_t)strtoul(argv[BLOCKS], NULL, 10);
    struct mosquitto *to = client(argv);
    mosquitto_user_data_set(to, argv);
    sem_init(&subscribed, 0, 0), sem_init(&durable, 0, 0);
    sem_init(&room, 0, 2 * WINDOW); /* what the library holds for us, so that memory has an end */
    mosquitto_connect_callback_set(to, on_connect);
    mosquitto_subscribe_callback_set(to, on_subscribe);
    mosquitto_publish_v5_callback_set(to, on_publish);
    mosquitto_message_callback_set(to, on_message);
    must("connect", mosquitto_connect(to, argv[HOST], atoi(argv[PORT]), 60));
    must("thread", mosquitto_loop_start(to));
    sem_wait(&subscribed);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (uint32_t number = 0; number < blocks; number++)
        for (uint32_t at = 0; at < BLOCK; at += CHUNK) {
            memcpy(message, &number, 4), memcpy(message + 4, &at, 4);
            memcpy(message + HEADER, block + at, CHUNK);
            sem_wait(&room);
            must("publish", mosquitto_publish(to, NULL, argv[CHUNK_TOPIC], sizeof message, message, 1, false));
        }
    for (uint32_t number = 0; number < blocks; number++)
        sem_wait(&durable);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.6f\n", (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec));
    mosquitto_disconnect(to);
    mosquitto_loop_stop(to, false);
    return 0;
}
