/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/sequence.h"

#include "base/rng.h"
#include "search/samplers/sobol_directions.h"

enum { BITS = 32 };

/* The recurrence of the direction numbers (Bratley & Fox 1988), walked once for the bits that the
 * index has. V_k = m_k 2^(32 - k). */
static uint32_t sobol_bits(int dimension, uint32_t index)
{
    const uint16_t *row = qn_sobol_directions[dimension];
    const uint32_t polynomial = row[0];
    int degree = 0;
    while (polynomial >> (degree + 1)) {
        degree++;
    }
    uint32_t directions[BITS], result = 0;
    const uint32_t gray = index ^ (index >> 1);
    for (int k = 0; k < BITS && gray >> k; k++) {
        if (dimension == 0) {
            directions[k] = UINT32_C(1) << (BITS - 1 - k);
        } else if (k < degree) {
            directions[k] = (uint32_t)row[k + 1] << (BITS - 1 - k);
        } else {
            uint32_t v = directions[k - degree] ^ (directions[k - degree] >> degree);
            for (int j = 1; j < degree; j++) {
                if ((polynomial >> (degree - j)) & 1) v ^= directions[k - j];
            }
            directions[k] = v;
        }
        if ((gray >> k) & 1) result ^= directions[k];
    }
    return result;
}

double qn_sobol(int dimension, uint32_t index)
{
    return (double)sobol_bits(dimension, index) * 0x1p-32;
}

static uint32_t reverse_bits(uint32_t x)
{
    x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
    x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
    x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
    return __builtin_bswap32(x);
}

/* Owen scrambling flips each bit by a coin that depends on the bits above it: with the bits
 * reversed, by a hash in which a bit only moves those above it: products with even numbers and
 * sums, as Laine & Karras (2011) found; constants of this form by Vegdahl (2021). */
static uint32_t nested_scramble(uint32_t x, uint32_t seed)
{
    x = reverse_bits(x);
    x ^= x * 0x3d20adeau;
    x += seed;
    x *= (seed >> 16) | 1;
    x ^= x * 0x05526c56u;
    x ^= x * 0x53a22864u;
    return reverse_bits(x);
}

double qn_sobol_scrambled(int dimension, uint32_t index, uint64_t seed)
{
    const uint64_t own = qn_seed_child(seed, (uint64_t)dimension);
    const uint32_t bits = nested_scramble(sobol_bits(dimension, index), (uint32_t)(own >> 32));
    return ((double)bits + (double)(uint32_t)own * 0x1p-32) * 0x1p-32;
}

static uint32_t prime(int dimension)
{
    static const uint16_t primes[QN_HALTON_DIMENSIONS] = {
        2,    3,    5,    7,    11,   13,   17,   19,   23,   29,   31,   37,   41,   43,   47,
        53,   59,   61,   67,   71,   73,   79,   83,   89,   97,   101,  103,  107,  109,  113,
        127,  131,  137,  139,  149,  151,  157,  163,  167,  173,  179,  181,  191,  193,  197,
        199,  211,  223,  227,  229,  233,  239,  241,  251,  257,  263,  269,  271,  277,  281,
        283,  293,  307,  311,  313,  317,  331,  337,  347,  349,  353,  359,  367,  373,  379,
        383,  389,  397,  401,  409,  419,  421,  431,  433,  439,  443,  449,  457,  461,  463,
        467,  479,  487,  491,  499,  503,  509,  521,  523,  541,  547,  557,  563,  569,  571,
        577,  587,  593,  599,  601,  607,  613,  617,  619,  631,  641,  643,  647,  653,  659,
        661,  673,  677,  683,  691,  701,  709,  719,  727,  733,  739,  743,  751,  757,  761,
        769,  773,  787,  797,  809,  811,  821,  823,  827,  829,  839,  853,  857,  859,  863,
        877,  881,  883,  887,  907,  911,  919,  929,  937,  941,  947,  953,  967,  971,  977,
        983,  991,  997,  1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061, 1063, 1069,
        1087, 1091, 1093, 1097, 1103, 1109, 1117, 1123, 1129, 1151, 1153, 1163, 1171, 1181, 1187,
        1193, 1201, 1213, 1217, 1223, 1229, 1231, 1237, 1249, 1259, 1277, 1279, 1283, 1289, 1291,
        1297, 1301, 1303, 1307, 1319, 1321, 1327, 1361, 1367, 1373, 1381, 1399, 1409, 1423, 1427,
        1429, 1433, 1439, 1447, 1451, 1453, 1459, 1471, 1481, 1483, 1487, 1489, 1493, 1499, 1511,
        1523, 1531, 1543, 1549, 1553, 1559, 1567, 1571, 1579, 1583, 1597, 1601, 1607, 1609, 1613,
        1619};
    return primes[dimension];
}

double qn_halton(int dimension, uint32_t index)
{
    const uint32_t base = prime(dimension);
    double value = 0, weight = 1.0 / base;
    for (; index > 0; index /= base, weight /= base) {
        value += weight * (index % base);
    }
    return value;
}

/* Each digit, also the zeros after the last, goes through a permutation of its own. */
double qn_halton_scrambled(int dimension, uint32_t index, uint64_t seed)
{
    const uint32_t base = prime(dimension);
    const uint64_t own = qn_seed_child(seed, (uint64_t)dimension);
    double value = 0, weight = 1.0 / base;
    for (uint64_t place = 0; weight > 0x1p-40; place++, index /= base, weight /= base) {
        int32_t digits[2048];
        qn_rng rng;
        for (uint32_t digit = 0; digit < base; digit++) {
            digits[digit] = (int32_t)digit;
        }
        qn_rng_init(&rng, own, place);
        qn_rng_shuffle(&rng, digits, base);
        value += weight * digits[index % base];
    }
    return value < 1 ? value : 0x1.fffffffffffffp-1;
}
