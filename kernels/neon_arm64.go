//go:build arm64 && !noasm

package kernels

func dotNEON(dst *float32, ldDst int, q *float32, rows int, k *Cache, cells []int32) {
	a := &blockArgs{out: dst, ldOut: ldDst, in: q, rows: rows, d: k.Dim, base: k.Base, stride: k.Stride,
		cells: &cells[0], n: len(cells), size: k.Type.RowBytes(k.Dim)}
	switch k.Type {
	case F32:
		dotF32ASM(a)
	case F16:
		dotF16ASM(a)
	case BF16:
		dotBF16ASM(a)
	case Q8_0:
		dotQ8ASM(a)
	case Q4_0:
		dotQ4ASM(a)
	}
}

func accNEON(acc *float32, ldAcc int, p *float32, ldP int, rows int, v *Cache, cells []int32) {
	a := &blockArgs{out: acc, ldOut: ldAcc, in: p, ldIn: ldP, rows: rows, d: v.Dim, base: v.Base, stride: v.Stride,
		cells: &cells[0], n: len(cells), size: v.Type.RowBytes(v.Dim)}
	switch v.Type {
	case F32:
		accF32ASM(a)
	case F16:
		accF16ASM(a)
	case BF16:
		accBF16ASM(a)
	case Q8_0:
		accQ8ASM(a)
	case Q4_0:
		accQ4ASM(a)
	}
}
