/* One-way TLS, two-way TLS and pre-shared keys with libmosquitto.
 *
 * cc -o client client.c -lmosquitto
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int status, const char *what)
{
    if (status != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "%s: %s\n", what, mosquitto_strerror(status));
        exit(1);
    }
}

static void on_connect(struct mosquitto *client, void *data, int reason)
{
    (void)data;
    if (reason != 0) {
        fprintf(stderr, "refused: %s\n", mosquitto_connack_string(reason));
        exit(1);
    }
    check(mosquitto_subscribe(client, NULL, "greetings/#", 1), "subscribe");
}

static void on_subscribe(struct mosquitto *client, void *data, int id, int count, const int *qos)
{
    const char *text = "hello from C";

    (void)data, (void)id, (void)count, (void)qos;
    check(mosquitto_publish(client, NULL, "greetings/world", (int)strlen(text), text, 1, false),
          "publish");
}

static void on_message(struct mosquitto *client, void *data, const struct mosquitto_message *message)
{
    (void)data;
    printf("%s %.*s\n", message->topic, message->payloadlen, (const char *)message->payload);
    mosquitto_disconnect(client);
}

static void use_tls(struct mosquitto *client, int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[0], "psk") == 0)
        check(mosquitto_tls_psk_set(client, arguments[2], arguments[1], NULL), "psk");
    else if (count == 2 && strcmp(arguments[0], "one-way") == 0)
        check(mosquitto_tls_set(client, arguments[1], NULL, NULL, NULL, NULL), "one-way");
    else if (count == 4 && strcmp(arguments[0], "two-way") == 0)
        check(mosquitto_tls_set(client, arguments[1], NULL, arguments[2], arguments[3], NULL),
              "two-way");
    else {
        fprintf(stderr, "HOST PORT one-way CA | two-way CA CERT KEY | psk IDENTITY HEXKEY\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct mosquitto *client;
    int status;

    if (argc < 4) {
        fprintf(stderr, "HOST PORT one-way CA | two-way CA CERT KEY | psk IDENTITY HEXKEY\n");
        return 2;
    }
    mosquitto_lib_init();
    client = mosquitto_new(NULL, true, NULL);
    if (client == NULL)
        return 1;
    use_tls(client, argc - 3, argv + 3);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_message_callback_set(client, on_message);
    check(mosquitto_connect(client, argv[1], atoi(argv[2]), 60), "connect");
    status = mosquitto_loop_forever(client, -1, 1);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    if (status != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "%s\n", mosquitto_strerror(status));
        return 1;
    }
    return 0;
}
