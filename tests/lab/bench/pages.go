package bench

import (
	"github.com/retroattn/retroattn/kernels"
)

// scanPages is the number of pages whose summaries lie together: those of 8192 tokens.
const scanPages = 512

// scan measures the scoring of page summaries: of 8 bits, of means and spreads in 4 bits, or of the
// tokens in pages by their residual codes.
func (b *bench) scan(c workload) (result, error) {
	d, rows, t := c.dim, c.rows, b.team[c.threads]
	size, fill, score := summaries8(c)
	products := 1.0 // by which a row is multiplied, of each page
	switch c.packed {
	case "u4":
		size, fill, score = summaries4(c)
		products = 2
	case "r1", "r2":
		size, fill, score = residuals(c)
		products = 1 + kernels.CodeTokens
	}
	set, err := b.planesFor(size, b.setBytes(c.set, c.threads), fill)
	if err != nil {
		return result{}, err
	}
	out := make([][]float32, t.n)
	for i := range out {
		out[i] = make([]float32, outputs(c))
	}
	ours := &variant{run: func(first, n int) {
		t.do(func(ith int) {
			for u := first; u < first+n; u++ {
				planes := set.unit(u)
				for _, p := range planes[len(planes)*ith/t.n : len(planes)*(ith+1)/t.n] {
					score(out[ith], p)
				}
			}
		})
	}}
	read := b.reader(set, t)
	if err := b.interleave(set.units(), ours, read); err != nil {
		return result{}, err
	}
	return b.result(c, set, ours, read, products*float64(2*d*rows*scanPages*set.perUnit)), nil
}

// outputs is how many scores a case has.
func outputs(c workload) int {
	switch c.packed {
	case "u4":
		return 2 * c.rows * scanPages
	case "r1", "r2":
		return c.rows * scanPages * kernels.CodeTokens
	}
	return c.rows * scanPages
}

// The functions below return the size of a plane of scanPages pages, what fills one, and what
// scores its pages.

func summaries8(c workload) (size int, fill func(p []byte), score func(out []float32, p []byte)) {
	d, tile := c.dim, kernels.TileBytes(c.dim)
	x, q := normals(scanPages*d, 2), make([]float32, c.rows*kernels.ScanLen(d))
	kernels.ScanQueries(q, normals(c.rows*d, 3), c.rows, d)
	return scanPages / kernels.TilePages * tile, func(p []byte) {
			for i := range scanPages {
				kernels.Pack(p[i/kernels.TilePages*tile:], i%kernels.TilePages, x[i*d:(i+1)*d],
					kernels.Signed)
			}
		}, func(out []float32, p []byte) {
			kernels.Scan(out, scanPages, q, c.rows, d, p, scanPages, kernels.Signed)
		}
}

func summaries4(c workload) (size int, fill func(p []byte), score func(out []float32, p []byte)) {
	d := c.dim
	q := make([]float32, c.rows*kernels.ScanLen4(d))
	kernels.ScanQueries4(q, normals(c.rows*d, 3), c.rows, d)
	list := cellList(scanPages / kernels.TilePages)
	return len(list) * kernels.TileBytes4(d),
		func(p []byte) { packPages(p, d) }, func(out []float32, p []byte) {
			in := kernels.Blocks{Bytes: [][]byte{p}, Pages: scanPages}
			kernels.ScanTiles4(out, scanPages, out[c.rows*scanPages:], scanPages, q, c.rows, d, in, list, scanPages)
		}
}

// packPages fills tiles of 4-bit summaries.
func packPages(p []byte, d int) {
	x, tile := normals(scanPages*d, 2), kernels.TileBytes4(d)
	sd := make([]float32, d)
	for i := range scanPages {
		for c := range sd {
			sd[c] = 0.5 + float32((c+i)%16)/32
		}
		kernels.Pack4(p[i/kernels.TilePages*tile:], i%kernels.TilePages, x[i*d:(i+1)*d], sd)
	}
}

// residuals are the summaries and then the codes of every page.
func residuals(c workload) (size int, fill func(p []byte), score func(out []float32, p []byte)) {
	d, bits := c.dim, int(c.packed[1]-'0')
	tiles := scanPages / kernels.TilePages * kernels.TileBytes4(d)
	q := make([]float32, c.rows*kernels.CodeQueryLen(d))
	kernels.CodeQueries(q, normals(c.rows*d, 3), c.rows, d)
	list := cellList(scanPages)
	block := func(b []byte) kernels.Blocks {
		return kernels.Blocks{Bytes: [][]byte{b}, Pages: scanPages}
	}
	pages, base := make([]kernels.Coded, scanPages), make([]float32, c.rows*scanPages)
	return tiles + scanPages*kernels.CodeBytes(bits, d), func(p []byte) {
			packPages(p[:tiles], d)
			for i := range p[tiles:] {
				p[tiles+i] = byte(i * i >> 3)
			}
		}, func(out []float32, p []byte) {
			kernels.CodedPages(pages, block(p[:tiles]), block(p[tiles:]), d, bits, list, list)
			kernels.ScoreCodes(out, scanPages*kernels.CodeTokens, q, c.rows, d, bits, base,
				scanPages, pages)
		}
}
