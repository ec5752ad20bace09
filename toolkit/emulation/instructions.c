/* A plugin of QEMU (API version 1) that counts the AArch64 instructions of a program, by class.
 *
 * The guest reads the counts by calling getpgid(MARK + n), which fails harmlessly: each such call appends a line
 * "n all simd memory branch" to the file given as out=FILE. Two marks around a call give what the call took.
 * Debian ships no header of the plugin API, so the few declarations are repeated.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                              uint64_t, uint64_t, uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

enum { ALL, SIMD, MEMORY, BRANCH, CLASSES };
static const uint64_t MARK = 0x51A70000;
static const int64_t GETPGID = 155;
static uint64_t counted[CLASSES];
static FILE *out;

/* The top-level groups of the A64 encoding, bits 28 to 25. */
static int class_of(uint32_t word)
{
    unsigned group = word >> 25 & 15;
    if ((group & 5) == 4) return MEMORY;
    if ((group & 7) == 7) return SIMD;
    if ((group & 14) == 10) return BRANCH;
    return ALL;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    uint64_t here[CLASSES] = {0};
    size_t length = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < length; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        int class = class_of(word);
        if (class != ALL) here[class]++;
    }
    here[ALL] = length;
    for (int class = 0; class < CLASSES; class++)
        if (here[class]) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counted[class], here[class]);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t first, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                   uint64_t g, uint64_t h)
{
    if (number != GETPGID || (first & 0xffff0000u) != MARK) return;
    fprintf(out, "%u", (unsigned)(first & 0xffff));
    for (int class = 0; class < CLASSES; class++) fprintf(out, " %llu", (unsigned long long)counted[class]);
    fprintf(out, "\n");
    fflush(out);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
    for (int i = 0; i < count; i++)
        if (strncmp(arguments[i], "out=", 4) == 0) out = fopen(arguments[i] + 4, "a");
    if (out == NULL) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
