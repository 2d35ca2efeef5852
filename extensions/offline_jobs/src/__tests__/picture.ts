/** Stands in for pictures. */
export default '<svg></svg>';
