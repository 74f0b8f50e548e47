package kernels

import "math"

// The exponential is 2^m * P(r) with x = m*ln2 + r and |r| <= ln2/2. ln2 is
// split so that m*ln2Hi is exact; P is the polynomial of Cephes' expf.
const (
	expLog2e  = float32(1.44269504088896341)
	expLn2Hi  = float32(0.693359375)
	expLn2Lo  = float32(-2.12194440e-4)
	expC7     = float32(1.9875691500e-4)
	expC6     = float32(1.3981999507e-3)
	expC5     = float32(8.3334519073e-3)
	expC4     = float32(4.1665795894e-2)
	expC3     = float32(1.6666665459e-1)
	expC2     = float32(5.0000001201e-1)
	expRound  = float32(3 << 22) // adding it rounds to an integer
	expCutoff = float32(-87.3)   // below, the result is 0: it stays a normal number above
	expLimit  = float32(88)      // above, 2^m itself could overflow
)

// Exp32 is e^x to 2 ulp for x in [-87.3, 88]. It is 0 below that range, +Inf
// above it and NaN for NaN.
func Exp32(x float32) float32 {
	if !(x >= expCutoff) {
		if x != x {
			return x
		}
		return 0
	}
	if x > expLimit {
		return float32(math.Inf(1))
	}
	m := (float32(x*expLog2e) + expRound) - expRound
	r := float32(x-float32(m*expLn2Hi)) - float32(m*expLn2Lo)
	p := expC7*r + expC6
	p = p*r + expC5
	p = p*r + expC4
	p = p*r + expC3
	p = p*r + expC2
	return (p*(r*r) + r + 1) * math.Float32frombits(uint32(int32(m)+127)<<23)
}

// expWeight is e^(x-m) to 4e-6, and what rounding x-m by 2^-24, twice, makes of it, for x < m+80. It
// is 1 where x is m, however large that is: differences are multiplied, not what is subtracted. From
// 2^-126.5 on down it is 0, with avx512 from 2^-126: what is subnormal costs some processors 150
// cycles in the products. No logarithm is split.
func expWeight(x, m float32) float32 {
	d := float32(x - m)
	if d < weightCutoff {
		d = weightCutoff
	}
	t := float32(d * expLog2e)
	y := t + weightRound
	f := t - float32(y-weightRound)
	p := weightC4*f + weightC3
	p = p*f + weightC2
	p = p*f + weightC1
	return (p*f + 1) * math.Float32frombits(math.Float32bits(y)<<23)
}

// weightRound rounds to integers, and leaves what they are as exponents of a float32 in the low bits.
// The polynomial is the best one for relative errors from -0.5 to 0.5 that is 1 at 0.
const (
	weightRound  = float32(3<<22 + 127)
	weightCutoff = float32(-127 / math.Log2E)
	weightLowest = float32(-math.MaxFloat32) // m, at least, so that less than -Inf is not asked for
	weightC4     = float32(9.582854807e-3)
	weightC3     = float32(5.590643361e-2)
	weightC2     = float32(2.402409911e-1)
	weightC1     = float32(6.931241751e-1)
)

// maxRise is by how much a logit may be above what stands for the largest of many rows before all
// that was added up is scaled anew. Weights are up to e^8 then.
const maxRise = 8

// roughExp is e^x to 4 % for -87 <= x <= 0, without bias over many: x/ln2 as it stands in exponent
// and mantissa, which takes 1+f for 2^f, and less what that is too large by in the mean. Below it is
// as at -87.
func roughExp(x float32) float32 {
	return math.Float32frombits(uint32(int32(max(x, roughCutoff)*roughScale + roughBias)))
}

const (
	roughCutoff = float32(-87)
	roughScale  = float32(1 << 23 * math.Log2E)
	roughBias   = float32((127 - 0.0570) * (1 << 23))
)

// f16ToF32 moves the F16 fields into place and corrects the exponent bias by an
// exact multiplication, which normalizes subnormals too.
func f16ToF32(h uint16) float32 {
	const rebias = 0x1p112
	b := uint32(h&0x7fff) << 13
	sign := uint32(h&0x8000) << 16
	if h&0x7c00 == 0x7c00 {
		if h&0x3ff != 0 {
			b |= 1 << 22 // quiet, as VCVTPH2PS does
		}
		return math.Float32frombits(sign | 0x7f800000 | b)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(b)*rebias))
}

func bf16ToF32(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// f32ToF16 rounds to nearest even and saturates finite values.
func f32ToF16(f float32) uint16 {
	const (
		inf       = 0x7f800000
		maxF16    = 0x477fe000 // 65504
		minNormal = 0x38800000 // 2^-14
	)
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	a := b & 0x7fffffff
	switch {
	case a > inf:
		return sign | 0x7e00 | uint16(a>>13)&0x3ff
	case a == inf:
		return sign | 0x7c00
	case a >= maxF16:
		return sign | 0x7bff
	case a < minNormal:
		// The spacing of float32 at 0.5 is that of F16 subnormals, so the
		// addition does the rounding.
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-math.Float32bits(0.5))
	}
	a += 0xfff + a>>13&1
	return sign | uint16((a-112<<23)>>13)
}
