/* The subscriber of the reference of sync.throughput: assembles each block, hashes it, writes it to a
   file that its hash names, syncs file and folder, and only then says so.

   bench_mqtt_sub PORT HOST AUTHORITY CERTIFICATE KEY CHUNK_TOPIC DONE_TOPIC STORE */
#include "bench_mqtt.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

enum { CHUNK_TOPIC = OWN, DONE_TOPIC, STORE };

static uint8_t block[BLOCK];
static size_t filled;
static int folder;

static void on_connect(struct mosquitto *client, void *argv, int code)
{
    must("connect", code);
    must("subscribe", mosquitto_subscribe(client, NULL, ((char **)argv)[CHUNK_TOPIC], 1));
}

static void on_subscribe(struct mosquitto *client, void *argv, int id, int count, const int *granted)
{
    (void)client, (void)argv, (void)id, (void)count, (void)granted;
    puts("ready");
    fflush(stdout);
}

/* Make the block durable under its number and its hash. */
static void keep(uint32_t number)
{
    uint8_t hash[32];
    char name[80];
    int length = snprintf(name, sizeof name, "%08x-", number);
    if (!EVP_Digest(block, BLOCK, hash, NULL, EVP_sha256(), NULL))
        exit(1);
    for (int i = 0; i < 32; i++)
        length += snprintf(name + length, sizeof name - (size_t)length, "%02x", hash[i]);
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0 || write(file, block, BLOCK) != BLOCK || fsync(file) || close(file) || fsync(folder)) {
        perror(name);
        exit(1);
    }
}

static void on_message(struct mosquitto *client, void *argv, const struct mosquitto_message *message)
{
    uint32_t number, at;
    const uint8_t *octets = message->payload;
    if (message->payloadlen != HEADER + CHUNK)
        exit(1);
    memcpy(&number, octets, 4), memcpy(&at, octets + 4, 4);
    if (at > BLOCK - CHUNK)
        exit(1);
    memcpy(block + at, octets + HEADER, CHUNK);
    filled += CHUNK;
    if (filled < BLOCK)
        return;
    keep(number);
    filled = 0;
    must("done", mosquitto_publish(client, NULL, ((char **)argv)[DONE_TOPIC], 4, &number, 1, false));
}

int main(int argc, char **argv)
{
    if (argc != STORE + 1 || (folder = open(argv[STORE], O_RDONLY | O_DIRECTORY)) < 0)
        return 2;
    struct mosquitto *from = client(argv);
    mosquitto_user_data_set(from, argv);
    mosquitto_connect_callback_set(from, on_connect);
    mosquitto_subscribe_callback_set(from, on_subscribe);
    mosquitto_message_callback_set(from, on_message);
    must("connect", mosquitto_connect(from, argv[HOST], atoi(argv[PORT]), 60));
    return mosquitto_loop_forever(from, -1, 1);
}
