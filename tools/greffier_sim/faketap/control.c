/* The mixer of a faketap: one element, "Line Capture Volume", 0..48 in steps of 0.75 dB from -12 dB.
 *
 * Its value lives in the file `store`, so that it outlives the handle, as in a card. */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/control_external.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 48, START = 16 };

typedef struct mixer {
    snd_ctl_ext_t ext;
    int store;
} mixer;

static const unsigned decibels[] = {SND_CTL_TLVT_DB_SCALE, 2 * sizeof(unsigned), (unsigned)-1200, 75};

static void mixer_close(snd_ctl_ext_t *ext)
{
    mixer *it = ext->private_data;
    close(it->store);
    free(it);
}

static int elem_count(snd_ctl_ext_t *ext)
{
    (void)ext;
    return 1;
}

static int elem_list(snd_ctl_ext_t *ext, unsigned int offset, snd_ctl_elem_id_t *id)
{
    (void)ext;
    if (offset != 0)
        return -EINVAL;
    snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
    snd_ctl_elem_id_set_name(id, "Line Capture Volume");
    return 0;
}

static snd_ctl_ext_key_t find_elem(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
    (void)ext;
    int ours = strcmp(snd_ctl_elem_id_get_name(id), "Line Capture Volume") == 0;
    return ours || snd_ctl_elem_id_get_numid(id) == 1 ? 0 : SND_CTL_EXT_KEY_NOT_FOUND;
}

static int get_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *access,
                         unsigned int *count)
{
    (void)ext, (void)key;
    *type = SND_CTL_ELEM_TYPE_INTEGER;
    *access = SND_CTL_EXT_ACCESS_READWRITE | SND_CTL_EXT_ACCESS_TLV_READ;
    *count = 1;
    return 0;
}

static int get_integer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *least, long *most, long *step)
{
    (void)ext, (void)key;
    *least = 0;
    *most = MOST;
    *step = 1;
    return 0;
}

static int read_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
    mixer *it = ext->private_data;
    int32_t stored = START;
    (void)key;
    if (pread(it->store, &stored, sizeof stored, 0) != sizeof stored)
        stored = START;
    *value = stored;
    return 0;
}

static int write_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
    mixer *it = ext->private_data;
    int32_t stored = (int32_t)*value;
    (void)key;
    if (stored < 0 || stored > MOST)
        return -EINVAL;
    return pwrite(it->store, &stored, sizeof stored, 0) == sizeof stored ? 1 : -EIO;
}

static int read_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *mask)
{
    (void)ext, (void)id, (void)mask;
    return -EAGAIN;
}

static const snd_ctl_ext_callback_t callbacks = {
    .close = mixer_close,
    .elem_count = elem_count,
    .elem_list = elem_list,
    .find_elem = find_elem,
    .get_attribute = get_attribute,
    .get_integer_info = get_integer_info,
    .read_integer = read_integer,
    .write_integer = write_integer,
    .read_event = read_event,
};

SND_CTL_PLUGIN_DEFINE_FUNC(faketap)
{
    const char *path;
    snd_config_t *store;
    (void)root;
    if (snd_config_search(conf, "store", &store) < 0 || snd_config_get_string(store, &path) < 0) {
        SNDERR("faketap: a mixer needs a store");
        return -EINVAL;
    }
    mixer *it = calloc(1, sizeof *it);
    if (it == NULL)
        return -ENOMEM;
    it->store = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int failed = it->store < 0 ? -errno : 0;
    it->ext.version = SND_CTL_EXT_VERSION;
    strcpy(it->ext.id, "faketap");
    strcpy(it->ext.driver, "faketap");
    strcpy(it->ext.name, "faketap");
    strcpy(it->ext.mixername, "faketap");
    it->ext.poll_fd = -1;
    it->ext.callback = &callbacks;
    it->ext.private_data = it;
    it->ext.tlv.p = decibels;
    if (failed == 0)
        failed = snd_ctl_ext_create(&it->ext, name, mode);
    if (failed < 0) {
        if (it->store >= 0)
            close(it->store);
        free(it);
        return failed;
    }
    *handlep = it->ext.handle;
    return 0;
}

SND_CTL_PLUGIN_SYMBOL(faketap);
